/**
 * What every `npm run` does first: the dependencies as package-lock.json names them, and the assets of /docs. Silent when there is
 * nothing to do. Without import declarations, so that an old Node gets as far as the sentence that says it is too old.
 */
const OLDEST_NODE = 20;

if (Number(process.versions.node.split(".")[0]) < OLDEST_NODE) {
  console.error(`This needs Node ${OLDEST_NODE} or newer, and this is Node ${process.versions.node}. See https://nodejs.org.`);
  process.exitCode = 1;
} else {
  void import("./start/prepare.js").then(async ({ prepare }) => prepare());
}
