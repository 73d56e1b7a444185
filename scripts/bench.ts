/** `npm run bench`: what the product costs, beside what one would build instead. */
import { MEASURES } from "./bench/measures/index.ts";
import { helpOf, readOptions } from "./bench/options.ts";
import { Foreseen } from "./start/foreseen.js";

try {
  const options = readOptions(process.argv.slice(2), MEASURES);
  if (options === null) console.log(helpOf(MEASURES));
  else {
    // Not before it is known that there will be a run: what builds and runs Workers takes seconds to load.
    const { runBench } = await import("./bench/run.ts");
    await runBench(options);
  }
} catch (error) {
  console.error(error instanceof Foreseen ? error.message : error);
  process.exitCode = 1;
}
