/** One process at a time. The lock is a listening socket: the system lets go of it however its holder ends. */
import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * @param {string} name
 * @returns {Promise<(() => void) | null>} what releases the lock, or null while another process holds it
 */
export async function tryLock(name) {
  // Hashed, because the path of a socket may have about 100 characters.
  const path = join(tmpdir(), `lock-${createHash("sha256").update(name).digest("hex").slice(0, 24)}.sock`);
  const release = await listen(path);
  if (release) return release;
  if (await answers(path)) return null;
  // Left behind by a process that was killed.
  rmSync(path, { force: true });
  return listen(path);
}

/**
 * @param {string} path
 * @returns {Promise<(() => void) | null>}
 */
function listen(path) {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.unref();
    server.once("error", (error) => {
      if ("code" in error && error.code === "EADDRINUSE") resolve(null);
      else reject(error);
    });
    server.listen(path, () => {
      const remove = () => rmSync(path, { force: true });
      process.once("exit", remove);
      resolve(() => {
        process.off("exit", remove);
        server.close();
      });
    });
  });
}

/**
 * @param {string} path
 * @returns {Promise<boolean>}
 */
function answers(path) {
  return new Promise((resolve) => {
    const socket = connect(path);
    const answer = (/** @type {boolean} */ held) => {
      socket.destroy();
      resolve(held);
    };
    socket.once("connect", () => answer(true));
    socket.once("error", () => answer(false));
  });
}
