/** `npm run test:soak`: the same tests at full length, which take an hour. */
export const SOAK = process.env["SOAK"] === "true";
