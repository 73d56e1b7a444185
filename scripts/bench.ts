/** `npm run bench`: what the product costs, beside what one would build instead. */
import { MEASURES } from "./bench/measures/index.ts";
import { commandLine, optionsFrom } from "./bench/options.ts";
import { runCommand } from "./lib/options.ts";

await runCommand(commandLine(MEASURES), async (values) => {
  const options = optionsFrom(values, MEASURES);
  // Not before it is known that there will be a run: what builds and runs Workers takes seconds to load.
  const { runBench } = await import("./bench/run.ts");
  await runBench(options);
});
