/** `npm run reliability`: writes docs/reliability-matrix.md and the figures in docs/reliability.md from the data of the fault tests. */
import { readFileSync, writeFileSync } from "node:fs";
import { matrixPage, withFigures } from "../test/faults/page.ts";

const MATRIX = new URL("../docs/reliability-matrix.md", import.meta.url);
const SUMMARY = new URL("../docs/reliability.md", import.meta.url);

writeFileSync(MATRIX, matrixPage());
writeFileSync(SUMMARY, withFigures(readFileSync(SUMMARY, "utf8")));
