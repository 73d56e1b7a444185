/** ISBNs for tests in workerd and in Node. */

/** The nth of very many valid ISBN-13s. */
export function isbnNumber(n: number): string {
  const body = `978${String(100_000_000 + n)}`;
  const sum = Array.from(body).reduce((total, digit, index) => total + Number(digit) * (index % 2 === 0 ? 1 : 3), 0);
  return `${body}${(10 - (sum % 10)) % 10}`;
}
