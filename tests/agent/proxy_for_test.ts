import { assertEquals } from "@std/assert";
import { proxyFor } from "../../src/agent/proxy_for.ts";

const proxies = { http: "http://plain:3128", https: "http://tls:3128" };

Deno.test("proxyFor() chooses by the server's scheme", () => {
  const exceptFor: string[] = [];
  assertEquals(proxyFor("http://a.test", { ...proxies, exceptFor }), "http://plain:3128");
  assertEquals(proxyFor("https://a.test", { ...proxies, exceptFor }), "http://tls:3128");
  assertEquals(proxyFor("https://a.test", { http: null, https: null, exceptFor }), null);
});

Deno.test("proxyFor() goes straight to the hosts excepted", () => {
  const rows: [exception: string, url: string, direct: boolean][] = [
    ["", "https://a.test", false],
    ["*", "https://a.test", true],
    ["a.test", "https://a.test", true],
    ["A.Test", "https://a.test", true],
    ["a.test", "https://sub.a.test", true],
    ["a.test", "https://nota.test", false],
    [".a.test", "https://sub.a.test", true],
    ["*.a.test", "https://sub.a.test", true],
    ["a.test:8443", "https://a.test:8443", true],
    ["a.test:8443", "https://a.test", false],
    ["a.test:443", "https://a.test", true],
    ["192.0.2.1", "http://192.0.2.1:8080", true],
    ["2001:db8::1", "http://[2001:db8::1]:8080", true],
    ["[2001:db8::1]:8080", "http://[2001:db8::1]:8080", true],
    ["[2001:db8::1]:8080", "http://[2001:db8::1]:9090", false],
  ];
  for (const [exception, url, direct] of rows) {
    const found = proxyFor(url, { ...proxies, exceptFor: [exception] });
    assertEquals(found === null, direct, `${exception} for ${url}`);
  }
});

Deno.test("proxyFor() goes straight to this host itself", () => {
  for (const host of ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"]) {
    assertEquals(proxyFor(`https://${host}:8443`, { ...proxies, exceptFor: [] }), null, host);
  }
  const near = "https://localhost.test";
  assertEquals(proxyFor(near, { ...proxies, exceptFor: [] }), "http://tls:3128");
});

Deno.test("proxyFor() takes an empty entry for none, whatever the server's name ends with", () => {
  const settings = { ...proxies, exceptFor: ["", "  "] };
  assertEquals(proxyFor("https://a.test", settings), "http://tls:3128");
  assertEquals(proxyFor("https://a.test.", settings), "http://tls:3128");
});
