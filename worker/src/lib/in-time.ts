/** Waits for an answer and throws after a time limit. The underlying work continues. */
export async function inTime<Answer>(what: string, limitMs: number, answer: Promise<Answer>): Promise<Answer> {
  let forget = (): void => undefined;
  const late = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(new Error(`${what} did not answer within ${limitMs} ms`)), limitMs);
    forget = () => clearTimeout(timer);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    forget();
  }
}
