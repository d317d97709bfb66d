/** URLs with a secret in every place that can hold one, for the proof that a scanner's report has none. */

/** What stands for a secret. A part of it that is left is as good as the whole. */
export const SECRET = "S3cretXy9Zq7Wv5T";

const SCHEMES = ["http", "https", "HTTPS", "ftp", "mirror+https"];

const PLACES = [
  `deploy:${SECRET}@repo.test:8530/a`,
  `${SECRET}@repo.test/a`,
  `deploy:p/${SECRET}@repo.test/a`,
  `deploy:p@${SECRET}@repo.test`,
  `repo.test/a?token=${SECRET}`,
  `repo.test/a?${SECRET}`,
  `repo.test/a#${SECRET}`,
  `repo.test/a;sid=${SECRET}/b`,
  `repo.test/token/${SECRET}/a`,
  `repo.test/${SECRET}/a`,
];

/** Fifty of them. */
export const SECRET_URLS: readonly string[] = SCHEMES.flatMap((scheme) =>
  PLACES.map((place) => `${scheme}://${place}`)
);
