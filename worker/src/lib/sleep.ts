/** Pauses between attempts. */

export type Sleep = (milliseconds: number) => Promise<void>;

export const sleep: Sleep = async (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A pause of up to half more, so that many callers that failed together do not retry together. */
export const jittered = (milliseconds: number): number => milliseconds * (1 + Math.random() / 2);
