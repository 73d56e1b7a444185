/** ISBN arithmetic. No I/O. A book is identified by its stem, the first twelve digits of its ISBN-13 as a number. */
const weigh13 = (stem: number): number => {
  let rest = stem;
  let sum = 0;
  for (let place = 0; place < 12; place += 1) {
    sum += (rest % 10) * (place % 2 === 0 ? 3 : 1);
    rest = Math.floor(rest / 10);
  }
  return (10 - (sum % 10)) % 10;
};

const checkDigit10 = (nine: string): string => {
  const sum = Array.from(nine).reduce((total, digit, place) => total + Number(digit) * (10 - place), 0);
  const check = (11 - (sum % 11)) % 11;
  return check === 10 ? "X" : String(check);
};

export const isbn13Of = (stem: number): string => `${stem}${weigh13(stem)}`;

/** ISBN-10, or null. Only ISBNs with the prefix 978 have one. */
export const isbn10Of = (stem: number): string | null => {
  const digits = String(stem);
  if (!digits.startsWith("978")) return null;
  const nine = digits.slice(3);
  return nine + checkDigit10(nine);
};

/** Stem of an ISBN-10 or ISBN-13, with or without hyphens and spaces. undefined if it is invalid. */
export const stemOf = (written: string): number | undefined => {
  const compact = written.replaceAll(/[\s-]/g, "").toUpperCase();
  if (/^97[89]\d{10}$/.test(compact)) {
    const stem = Number(compact.slice(0, 12));
    return isbn13Of(stem) === compact ? stem : undefined;
  }
  if (/^\d{9}[\dX]$/.test(compact)) {
    const nine = compact.slice(0, 9);
    return nine + checkDigit10(nine) === compact ? Number(`978${nine}`) : undefined;
  }
  return undefined;
};
