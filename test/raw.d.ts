/** A file's text, taken in when the tests are built: a Worker reads no files. */
declare module "*?raw" {
  const text: string;
  export default text;
}
