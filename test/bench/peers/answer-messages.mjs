/** For helpers: answers each message of the process that started this one, and ends with it. */
export function answerMessages(answer) {
  process.on('message', async (message) => {
    try {
      process.send((await answer(message)) ?? {});
    } catch (error) {
      process.send({ error: error.message });
    }
  });
  process.once('disconnect', () => process.exit());
  // Ctrl-C on a terminal reaches this process too; it is ended by the one that started it.
  process.on('SIGINT', () => {});
}
