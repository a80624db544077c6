#!/bin/sh
# The first process of a virtual machine (scripts/test/vm): makes what tests need of a machine and
# becomes systemd, which runs them and then switches it off. What is written lives in memory, but for
# the results.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

mountpoint -q /proc || mount -t proc proc /proc
mountpoint -q /sys || mount -t sysfs sysfs /sys
for directory in /tmp /run /var/tmp /var/lib /dev/shm; do
  mkdir -p $directory && mount -t tmpfs -o mode=1777 tmpfs $directory
done
ip link set lo up

# Memory has somewhere to go when it is reclaimed. Emulated machines have the module already.
if [ ! -e /sys/block/zram0 ]; then
  for module in mm/zsmalloc drivers/block/zram/zram; do
    perl -e 'open my $file, "<", $ARGV[0] or die $!; my $none = "";
      syscall(313, fileno $file, $none, 0) == 0 or die $!' "$MODULES/kernel/$module.ko"
  done
fi
echo 256M >/sys/block/zram0/disksize && mkswap -q /dev/zram0 && swapon /dev/zram0

# In the root cgroup, whose processes don't keep it from giving controllers to its children.
cat >/run/tests.sh <<END
echo 0 >/sys/fs/cgroup/cgroup.procs
cd /mnt/project
$NODE node_modules/vitest/vitest.mjs run --config test/vm/vitest.config.ts --configLoader runner \
  --outputFile.json=/mnt/results/report.json $(echo "$TESTS" | tr , ' ')
sync
END
mkdir -p /run/systemd/system
cat >/run/systemd/system/tests.target <<END
[Unit]
Requires=tests.service
END
cat >/run/systemd/system/tests.service <<END
[Unit]
DefaultDependencies=no
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
Environment=CI=true HOME=/tmp MODULES=$MODULES TEST_PATIENCE_MS=$PATIENCE_MS
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
ExecStart=/bin/sh /run/tests.sh
END
exec /lib/systemd/systemd --unit=tests.target --log-target=console --log-level=warning --show-status=0
