/**
 * Advice about what is outside of Pennon, taken in a world of the test's own: a server, a certificate of its
 * own authority, a process without rights, an agent that hangs. As in `advice_test.ts`, each text is read
 * where the program prints it, and mends it.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Authority } from "../real/certificates.ts";
import { lacks } from "../real/lacks.ts";
import { startRefserver } from "../../tools/refserver/refserver.ts";
import { isMended, ONCE, setConfig, WITHOUT_NETWORK, WITHOUT_RIGHTS, wrapped } from "./advice.ts";
import { onHost, restartRefserver, TOKEN } from "./harness.ts";

const onLinux = Deno.build.os === "linux";
const isRoot = onLinux && Deno.uid() === 0;

const registering = (url: string) => ["register", "--replace", "--server", url, "--token", "-"];

Deno.test("advice on a registration: the server and the way to it are mended as it says", () =>
  onHost(async (host) => {
    const { url } = host.server;
    const { port } = new URL(url);
    const status = (code: 429 | 500 | 404) => ({ mode: "status", status: code } as const);
    await host.server.setFault(status(429));
    const healthy = () => host.server.setFault({ mode: "none" });
    await isMended(host, registering(url), "Next: try again in a minute", healthy);
    await host.server.setFault(status(500));
    await isMended(host, registering(url), "Next: see the server's own log", healthy);
    const right = () => Promise.resolve(registering(url));
    const elsewhere = registering(`${url}/other`);
    await isMended(host, elsewhere, "see that the address is a RedFlag server's", right);
    const misspelt = registering(`http://redflag.invalid:${port}`);
    await isMended(host, misspelt, "see that the server's address is spelt right", right);
    const encrypted = registering(url.replace("http:", "https:"));
    await isMended(host, encrypted, "Next: see that the ", right);
    await host.server.close();
    const options = { registrationTokens: [TOKEN], port: Number(port) };
    let again: Awaited<ReturnType<typeof restartRefserver>> | undefined;
    try {
      await isMended(host, registering(url), "see that the server runs", async () => {
        again = await restartRefserver(options);
      });
    } finally {
      await again?.close();
    }
  }));

Deno.test({
  name: "advice on a registration without a network",
  ignore: !isRoot || await lacks("unshare"),
  fn: () =>
    onHost(async (host) => {
      const words = ["register", "--server", host.server.url, "--token", TOKEN];
      const { code, said } = await wrapped(host, WITHOUT_NETWORK, words);
      assertEquals(code, 1);
      assertStringIncludes(said, "Next: see that ");
      assertEquals((await host.pennon(words)).code, 0);
    }),
});

Deno.test({
  name: "advice on certificates, keys and TLS: each is mended with what the authority signs",
  ignore: !onLinux || await lacks("openssl"),
  fn: () =>
    onHost(async (host) => {
      await using authority = await Authority.make();
      const tls = await authority.sign("IP:127.0.0.1");
      const [own, other] = [await authority.sign("DNS:a"), await authority.sign("DNS:b")];
      const expired = await authority.sign("DNS:a", undefined, { days: -1 });
      const file = async (name: string, text: string) => {
        await Deno.writeTextFile(`${host.folder}/${name}`, text, { mode: 0o600 });
        return `${host.folder}/${name}`;
      };
      const own_pem = await file("own.pem", own.certificate);
      const own_key = await file("own.key", own.key);
      const use = (certificate: string, key: string, more = "") =>
        setConfig(
          host,
          `[tls]\ncertificate_file = "${certificate}"\nkey_file = "${key}"\n${more}`,
        );
      const mended = () => use(own_pem, own_key);
      const rows: [certificate: string, key: string, advice: string][] = [
        [
          await file("expired.pem", expired.certificate),
          await file("expired.key", expired.key),
          "Next: have its issuer renew it",
        ],
        [own_pem, await file("other.key", other.key), "Next: name the key that belongs to it"],
        [own_pem, await file("no.key", "no key"), "Next: name the file that begins with"],
        [await file("no.pem", "no certificate"), own_key, "it holds no certificate in PEM"],
        [
          await file("cut.pem", own.certificate.replace(/\n.{20}/, "\n")),
          own_key,
          "Next: fetch it again from where it was issued",
        ],
      ];
      for (const [certificate, key, advice] of rows) {
        await use(certificate, key);
        await isMended(host, ["config", "check"], advice, mended);
      }
      const locked = await openssl("pkey", "-in", own_key, "-aes256", "-passout", "pass:secret");
      const locked_key = await file("locked.key", locked);
      await use(own_pem, locked_key);
      await isMended(host, ["config", "check"], "by openssl pkey -in FILE -out FILE", async () => {
        const open = await openssl("pkey", "-in", locked_key, "-passin", "pass:secret");
        await Deno.writeTextFile(locked_key, open);
      });
      // The server's own certificate.
      await setConfig(host, "");
      const server = await startRefserver({ tls, registrationTokens: [TOKEN] });
      try {
        const trusting = `ca_file = "${authority.file}"\n`;
        await isMended(
          host,
          registering(server.url),
          "an authority of your own goes into tls.ca_file",
          () => setConfig(host, `[tls]\n${trusting}`),
        );
        const plain = registering(server.url.replace("https:", "http:"));
        const right = () => Promise.resolve(registering(server.url));
        await isMended(host, plain, "Next: see that the address", right);
      } finally {
        await server.close();
      }
    }),
});

async function openssl(...args: string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command("openssl", { args }).output();
  assert(success, args.join(" "));
  return new TextDecoder().decode(stdout);
}

Deno.test({
  name: "advice on files that this account may not use: other rights, or the account that may",
  ignore: !isRoot || await lacks("setpriv"),
  fn: () =>
    onHost(async (host) => {
      await host.register();
      await host.pennon(ONCE);
      const withoutRights = (words: readonly string[]) => wrapped(host, WITHOUT_RIGHTS, words);
      const ca = `${host.folder}/ca.pem`;
      await Deno.writeTextFile(ca, "", { mode: 0o600 });
      await Deno.chmod(ca, 0o000);
      await setConfig(host, `[tls]\nca_file = "${ca}"\n`);
      const unread = await withoutRights(["config", "check"]);
      assertStringIncludes(unread.said, "Next: let the agent's user read it");
      await Deno.chmod(ca, 0o600);
      const read = await withoutRights(["config", "check"]);
      assert(!read.said.includes("let the agent's user read it"), read.said);
      await setConfig(host, "");
      const identity = `${host.stateDirectory}/identity.json`;
      await Deno.chmod(identity, 0o000);
      const other = await withoutRights(["status"]);
      assertEquals(other.code, 1);
      assertStringIncludes(other.said, "Next: run this as the agent's user, or as root");
      assertEquals((await host.pennon(["status"])).code, 0); // As root, that is.
      await Deno.chmod(identity, 0o600);
      const closed = `${host.folder}/closed`;
      await Deno.mkdir(closed, { mode: 0o500 });
      const archive = ["diagnostics", "--yes", "--output"];
      const refused = await withoutRights([...archive, `${closed}/a.tar.gz`]);
      assertEquals(refused.code, 1);
      assertStringIncludes(refused.said, "Next: name one that can be written with --output");
      const wrote = await withoutRights([...archive, `${host.folder}/a.tar.gz`]);
      assertEquals(wrote.code, 0, wrote.said);
    }),
});

Deno.test({
  name:
    "advice on an agent that hangs: a restart mends it, and a breaker is reset on disk after it",
  ignore: !onLinux,
  fn: () =>
    onHost(async (host) => {
      await host.register();
      const agent = host.run();
      await host.until("check-in", () => host.checkIns() > 0);
      Deno.kill(agent.processId, "SIGSTOP");
      try {
        const path = `${host.stateDirectory}/state.json`;
        const state = JSON.parse(await Deno.readTextFile(path));
        const due = new Date(Date.now() - 20 * 60_000).toISOString();
        await Deno.writeTextFile(path, JSON.stringify({ ...state, next_check_in_at: due }));
        const { out } = await host.pennon(["status"]);
        assertStringIncludes(out, "the next attempt is overdue: the agent hangs");
        assertStringIncludes(out.replaceAll(/\s+/g, " "), "restart the agent if it says nothing");
        const reset = await host.pennon(["breaker", "reset", "connection"]);
        assertEquals(reset.code, 1);
        assertStringIncludes(reset.err, "Cannot reset the breaker");
      } finally {
        Deno.kill(agent.processId, "SIGKILL");
      }
      await agent.ended;
      const reset = await host.pennon(["breaker", "reset", "connection"]);
      assertEquals(reset.code, 0, reset.err);
      host.run();
      const before = host.checkIns();
      await host.until("check-in after the restart", () => host.checkIns() > before);
      assertEquals((await host.pennon(["status", "--check"])).code, 0);
    }),
});

Deno.test("advice on a server that refuses without a reason: a reset resumes once that is mended", () =>
  onHost(async (host) => {
    await host.register();
    await host.server.setFault({ mode: "status", status: 403 });
    await host.pennon(ONCE);
    const { out } = await host.pennon(["status"]);
    assertStringIncludes(out, "Next: look at the proxy in between, if there is one\n");
    assertStringIncludes(out, "Then: the agent goes on by itself within about an hour");
    await host.server.setFault({ mode: "none" });
    assertEquals((await host.pennon(ONCE)).code, 1, "it waits, as the text says");
    assertEquals((await host.pennon(["breaker", "reset", "connection"])).code, 0);
    assertEquals((await host.pennon(ONCE)).code, 0);
  }));

Deno.test("advice on a proxy that removes the machine id: it passes the header on, and a reset resumes", () =>
  onHost(async (host) => {
    let isRemoved = false;
    const proxy = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
      const headers = new Headers(request.headers);
      if (isRemoved) headers.delete("X-Machine-ID");
      const { pathname, search } = new URL(request.url);
      const { method, body } = request;
      return fetch(`${host.server.url}${pathname}${search}`, { method, headers, body });
    });
    try {
      const url = `http://127.0.0.1:${proxy.addr.port}`;
      assertEquals((await host.pennon(registering(url), TOKEN)).code, 0);
      isRemoved = true;
      await host.pennon(ONCE);
      const { out } = await host.pennon(["status"]);
      assertStringIncludes(
        out.replaceAll(/\s+/g, " "),
        "let the proxy in front of the server pass the header X-Machine-ID on",
      );
      isRemoved = false;
      assertEquals((await host.pennon(["breaker", "reset", "connection"])).code, 0);
      assertEquals((await host.pennon(ONCE)).code, 0);
    } finally {
      await proxy.shutdown();
    }
  }, { age: "0.2" }));
