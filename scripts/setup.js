/**
 * Setup before each `npm run`: installs the dependencies of package-lock.json and copies static files. Prints nothing if there is nothing
 * to do. It has no import declarations, so that an old Node reaches the message about its version.
 */
const OLDEST_NODE = 20;

if (Number(process.versions.node.split(".")[0]) < OLDEST_NODE) {
  console.error(`Node ${OLDEST_NODE} or newer is required (got Node ${process.versions.node}). See https://nodejs.org.`);
  process.exitCode = 1;
} else {
  void import("./start/prepare.js").then(async ({ prepare }) => prepare());
}
