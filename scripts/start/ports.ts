/** Whether a port can be had, asked before anything slow begins. */
import { createServer } from "node:net";
import { Foreseen } from "./foreseen.js";

export const HOST = "127.0.0.1";

/** Throws `Foreseen` where the port is taken or forbidden. `option` is what chooses it. */
export async function needPort(port: number, option: string): Promise<void> {
  const code = await listenOnce(port);
  if (code === null) return;
  const why = code === "EADDRINUSE" ? "is in use" : code === "EACCES" ? "may not be opened by this user" : `cannot be opened (${code})`;
  throw new Foreseen(`Port ${port} ${why}; choose another with ${option} N (npm start -- ${option} N).`);
}

async function listenOnce(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error) => resolve("code" in error ? String(error.code) : error.message));
    server.listen(port, HOST, () => server.close(() => resolve(null)));
  });
}
