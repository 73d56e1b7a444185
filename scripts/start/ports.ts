/** Checks that a port is free before the slow parts of the start. */
import { createServer } from "node:net";
import { UserError } from "./user-error.js";

export const HOST = "127.0.0.1";

/** Throws `UserError` if the port is in use or forbidden. `option` is the option that sets it. */
export async function assertPortFree(port: number, option: string): Promise<void> {
  const code = await listenOnce(port);
  if (code === null) return;
  const why = code === "EADDRINUSE" ? "is in use" : code === "EACCES" ? "is not allowed for this user" : `cannot be opened (${code})`;
  throw portError(port, option, why);
}

/** Error for a port that another process opened after the check. */
export const portTaken = (port: number, option: string): UserError => portError(port, option, "is in use");

function portError(port: number, option: string, why: string): UserError {
  return new UserError(`Port ${port} ${why}. Choose another: npm start -- ${option} N.`);
}

async function listenOnce(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error) => resolve("code" in error ? String(error.code) : error.message));
    server.listen(port, HOST, () => server.close(() => resolve(null)));
  });
}
