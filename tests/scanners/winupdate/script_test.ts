import { assert, assertEquals } from "@std/assert";
import { encodeCommand } from "../../../src/scanners/powershell/powershell.ts";
import { frameScript } from "../../../src/scanners/powershell/frame.ts";
import { winupdateScript } from "../../../src/scanners/winupdate/script.ts";
import { readFixture } from "../fixture.ts";

Deno.test("winupdateScript() asks online or not, and else the same", () => {
  const online = winupdateScript({ online: true });
  const offline = winupdateScript({ online: false });
  assert(online.startsWith("$online=$true\n"));
  assertEquals(offline, online.replace("$true", "$false"));
});

Deno.test("winupdateScript() leaves half of a command line free, and is ASCII", () => {
  const script = winupdateScript({ online: true });
  assert(encodeCommand(frameScript(script)).length < 16_000);
  assert(/^[\n -~]*$/.test(script));
});

Deno.test("winupdateScript() has none of what Windows PowerShell 5.1 does not understand", () => {
  const later = [/\?\?/, /\?\./, / \? .* : /, /&&/, /\|\|/, /-AsArray/, /ForEach-Object -Parallel/];
  const script = frameScript(winupdateScript({ online: true }));
  assertEquals(later.filter((pattern) => pattern.test(script)), []);
});

Deno.test("winupdateScript() closes what it opens", () => {
  // No brackets stand in its strings but in pairs.
  const open: string[] = [];
  const pairs: Record<string, string> = { ")": "(", "}": "{", "]": "[" };
  for (const sign of frameScript(winupdateScript({ online: true }))) {
    if ("({[".includes(sign)) open.push(sign);
    if (sign in pairs) assertEquals(open.pop(), pairs[sign]);
  }
  assertEquals(open, []);
});

Deno.test("winupdateScript() asks for what is neither installed nor hidden, and changes nothing", () => {
  const script = winupdateScript({ online: true });
  assert(script.includes("Search('IsInstalled=0 and IsHidden=0')"));
  const long = "IsInstalled=0 and IsHidden=0 or " +
    "IsInstalled=0 and IsHidden=0 and DeploymentAction='OptionalInstallation'";
  assert(script.includes(`Search("${long}")`) && script.includes("'0x80240032'"));
  const changes =
    /AddService|RemoveService|CreateUpdateInstaller|CreateUpdateDownloader|AcceptEula/;
  assert(!changes.test(script) && !/IsHidden=\$|Set-|Start-Service|Restart-/.test(script));
});

Deno.test("winupdateScript() tells the fields that the fixtures have", () => {
  const script = winupdateScript({ online: true });
  const fixture = JSON.parse(readFixture("winupdate", "reported.json"));
  const [, item = ""] = /\n\[ordered\]@\{\n([^]*?)\}\n\}catch/.exec(script) ?? [];
  const fields = item.split("\n").map((line) => line.split("=")[0]);
  assertEquals(fields, Object.keys(fixture.updates[0]));
  const [, head = ""] = /\$answer=\[ordered\]@\{(.*)\}/.exec(script) ?? [];
  const first = head.split(";").map((part) => part.split("=")[0] ?? "");
  const later = [...script.matchAll(/\$answer\.(optional|resultCode|warnings|updates|unread)=/g)];
  const all = [...first, ...later.map((match) => match[1] ?? "")];
  assertEquals([...new Set(all)], Object.keys(fixture));
});

Deno.test("winupdateScript() reads the flags and policies of hosts, and no file operations", () => {
  const script = winupdateScript({ online: true });
  const read = [
    "WindowsUpdate\\Auto Update\\RebootRequired",
    "Component Based Servicing\\RebootPending",
    "UseUpdateClassPolicySource",
    "SetPolicyDrivenUpdateSourceFor$($name)Updates",
    "PolicyManager\\current\\device\\Update",
    "UpdatePolicy\\PolicyState",
  ];
  assertEquals(read.filter((name) => !script.includes(name)), []);
  assert(!script.includes("PendingFileRenameOperations"));
});

Deno.test("winupdateScript() casts every text and makes every list anew", () => {
  const lines = winupdateScript({ online: true }).split("\n");
  const fields = lines.filter((line) => /^[a-z]\w*=.*\$update\./i.test(line));
  const safe = /=(?:\[(?:string|int|bool)\]\$|@\(|Get-Day \$|\[ordered\]@\{provider=\[string\]\$)/;
  assertEquals(fields.filter((line) => !safe.test(line)), []);
  assert(fields.length > 10);
  // What returns nothing would be an empty object in JSON.
  assert(/function Get-Day[^\n]*else\{''\}\}\n/.test(winupdateScript({ online: true })));
});
