/** `npm run bench`: measures the product and its alternatives. */
import { MEASURES } from "./bench/measures/index.ts";
import { commandLine, optionsFrom } from "./bench/options.ts";
import { runCommand } from "./lib/options.ts";

await runCommand(commandLine(MEASURES), async (values) => {
  const options = optionsFrom(values, MEASURES);
  // Loaded late, because the modules that build and run Workers take seconds to load.
  const { runBench } = await import("./bench/run.ts");
  await runBench(options);
});
