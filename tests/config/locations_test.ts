import { assertEquals } from "@std/assert";
import { hookProgram, locations } from "../../src/config/locations.ts";
import type { Os } from "../../src/system/system.ts";
import { FakeSystem } from "../fakes/system.ts";

function system(
  os: Os,
  options: { userId?: number; home?: string | null; environment?: Record<string, string> } = {},
): FakeSystem {
  const { userId = 1_000, home = "/home/test", environment = {} } = options;
  const fake = new FakeSystem();
  fake.os = os;
  fake.machine = { ...fake.machine, userId: () => userId, homeDirectory: () => home };
  fake.environment = new Map(Object.entries(environment));
  return fake;
}

const SHARED = {
  configFiles: ["/etc/pennon/config.toml"],
  stateDirectory: "/var/lib/pennon",
};

Deno.test("locations() are the host's for root, whatever root's home and environment say", () => {
  const environment = { XDG_CONFIG_HOME: "/root/c", XDG_STATE_HOME: "/root/s" };
  assertEquals(locations(system("linux", { userId: 0, home: "/root", environment })), SHARED);
});

Deno.test("locations() are the host's for the account of the service", () => {
  const environment = { XDG_STATE_HOME: "/s" };
  assertEquals(locations(system("linux", { home: "/var/lib/pennon", environment })), SHARED);
});

Deno.test("locations() are the host's for a user without a home", () => {
  assertEquals(locations(system("linux", { home: null })), SHARED);
});

Deno.test("locations() are below a user's home, or where XDG says, if that is absolute", () => {
  assertEquals(locations(system("linux")), {
    configFiles: ["/home/test/.config/pennon/config.toml", "/etc/pennon/config.toml"],
    stateDirectory: "/home/test/.local/state/pennon",
  });
  const absolute = { XDG_CONFIG_HOME: "/c", XDG_STATE_HOME: "/s" };
  assertEquals(locations(system("linux", { environment: absolute })), {
    configFiles: ["/c/pennon/config.toml", "/etc/pennon/config.toml"],
    stateDirectory: "/s/pennon",
  });
  const relative = { XDG_CONFIG_HOME: "c/", XDG_STATE_HOME: "s/" };
  assertEquals(
    locations(system("linux", { environment: relative })),
    locations(system("linux")),
  );
});

Deno.test("locations() on macOS and Windows are the system's own", () => {
  assertEquals(locations(system("macos")), {
    configFiles: ["/Library/Application Support/Pennon/config.toml"],
    stateDirectory: "/Library/Application Support/Pennon",
  });
  assertEquals(locations(system("windows")), {
    configFiles: ["C:\\ProgramData\\Pennon\\config.toml"],
    stateDirectory: "C:\\ProgramData\\Pennon\\State",
  });
});

Deno.test("hookProgram() is in root's directory, and on Windows an .exe in that of the administrators", () => {
  for (const os of ["linux", "macos"] as const) {
    assertEquals(hookProgram(system(os), "on_outage"), "/etc/pennon/hooks/on_outage");
  }
  const environment = { ProgramData: "D:\\Data" };
  assertEquals(
    hookProgram(system("windows", { environment }), "on_security_update"),
    "D:\\Data\\Pennon\\hooks\\on_security_update.exe",
  );
});
