#!/usr/bin/perl
# A line-based program as inetd starts them: its standard input and output are the connection.
use strict;
use warnings;

$| = 1;
my $client = $ENV{REMOTE_ADDR} // 'whoever you are';
print "hello $client, this is process $$, yours alone; say something, or quit\n";
while (my $line = <STDIN>) {
    last if $line =~ /^quit\s*$/;
    print uc $line;
}
print "goodbye\n";
