/** Texts of package managers and servers with a secret in them, in every place that it can have. */

/** What stands for a secret below. A part of it that is left is as good as the whole. */
export const SECRET = "S3cretXy9Zq7Wv5T";

/** Texts with a secret (§) in every place in which a URL, or what stands for one, can have it. */
const FORMS: readonly string[] = [
  "http://deploy:§@127.0.0.1:9/private",
  "https://§@repo.test/debian",
  "https://§:x-oauth-basic@repo.test/debian",
  "https://deploy:§@repo.test",
  "https://deploy:§@repo.test:8443/a",
  "https://deploy:§@[2001:db8::1]:8443/a",
  "https://deploy:p@§@repo.test/a",
  "https://deploy:p/§@repo.test/a",
  "https://deploy:p?§@repo.test/a",
  "https://deploy:p#§@repo.test/a",
  "https://deploy:p;§@repo.test/a",
  "https://deploy:p,§@repo.test/a",
  "https://deploy:p'§@repo.test/a",
  'https://deploy:p"§@repo.test/a',
  "https://deploy:p)§@repo.test/a",
  "https://deploy:p%40§@repo.test/a",
  "https://deploy:%53§@repo.test/a",
  "HTTPS://DEPLOY:§@REPO.TEST/A",
  "ftp://deploy:§@repo.test/a",
  "mirror+https://deploy:§@repo.test/list.txt",
  "tor+http://deploy:§@repo.onion/a",
  "s3://AKIA:§@bucket/a",
  "ssh://deploy:§@repo.test/a",
  "socks5h://deploy:§@127.0.0.1:9050",
  "deploy:§@repo.test/a",
  "proxy=deploy:§@repo.test:3128",
  "proxy='deploy:§@repo.test:3128'",
  "(deploy:§@repo.test)",
  "https://repo.test/a?token=§",
  "https://repo.test/a?a=b&sig=§",
  "https://repo.test/a?§",
  "https://repo.test/a#§",
  "https://repo.test/a;jsessionid=§/b",
  "https://repo.test/t/§/debian",
  "https://repo.test/token/§/debian",
  "https://repo.test/§/debian",
  "https://repo.test/debian/§/",
  "https://repo.test/debian/§",
  "https://repo.test/ghp_§/debian",
  "https://repo.test/debian/§.repo",
  "'https://deploy:§@repo.test/a'",
  '"https://deploy:§@repo.test/a",',
  "<https://deploy:§@repo.test/a>",
  "[https://deploy:§@repo.test/a]",
  "`https://deploy:§@repo.test/a`",
  "https://a.test/b,https://deploy:§@repo.test/a",
  "E: Failed to fetch https://deploy:§@repo.test/a  401  Unauthorized",
  "Status code: 401 for https://repo.test/a?sig=§ (IP: 192.0.2.1)",
  "baseurl=https://deploy:§@repo.test/a",
  "https://deploy:§",
  "password=§",
  "token: §",
  '"secret":"§"',
  "Authorization: Bearer §",
  "Authorization: Basic §==",
];

/** `FORMS` with the secret in place. */
export const SECRET_TEXTS: readonly string[] = FORMS.map((form) => form.replaceAll("§", SECRET));

/** Whether a text holds the secret, or enough of it to guess the rest. */
export function holdsSecret(text: string): boolean {
  return text.includes(SECRET.slice(0, 6)) || text.includes(SECRET.slice(-6));
}
