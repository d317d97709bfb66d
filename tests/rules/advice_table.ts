/** Where each text of advice in `src/` is taken by a test, or who else has to act. */

/**
 * `situation`: of `tests/e2e/advice_test.ts`, which takes the advice as it is printed. `test`: another test
 * that takes it, by its file and name. `outside`: what the text wants is outside of Pennon and of a
 * test's machine, and it says so itself. `frame`: it only stands around texts that have rows of their own. `no advice`: it only looks like one.
 */
export type Taken =
  | { readonly situation: string }
  | { readonly test: readonly [file: string, name: string] }
  | { readonly outside: string }
  | "frame"
  | "no advice";

const WINDOWS = { outside: "Windows, its policies and its App Installer" } as const;
const MACOS = { outside: "macOS" } as const;
const NOT_REGISTERED = { situation: "a host that is not registered" } as const;
const OWNERS = "tests/e2e/owners_test.ts";
const HOOKS = "tests/e2e/hooks_test.ts";
const DOCTOR = "tests/e2e/doctor_test.ts";
const NO_MANAGER = "doctor: no package manager, lists that are old or missing";
const NOT_ACCEPTED =
  "doctor: a server of 0.2 that does not accept this agent, or signs with another key";
const SYSTEMD = "tests/real/systemd_test.ts";
const WORLD = "tests/e2e/advice_world_test.ts";
const REGISTRATION = { test: [WORLD, "advice on a registration: the server"] } as const;
const CERTIFICATES = { test: [WORLD, "advice on certificates, keys and TLS"] } as const;
const RIGHTS = { test: [WORLD, "advice on files that this account may not use"] } as const;
const HANGING = { test: [WORLD, "advice on an agent that hangs"] } as const;
const STATE = "tests/e2e/advice_state_test.ts";
const SERVERS = "tests/e2e/advice_server_test.ts";
const HOSTS = "tests/e2e/advice_host_test.ts";
const MISTAKES = "tests/e2e/mistakes_test.ts";
const DOCTORS = "tests/e2e/advice_doctor_test.ts";
const ADDRESS = { test: [DOCTORS, "doctor's advice on a server's address and state"] } as const;
const TOKENS_OF = { test: [DOCTORS, "doctor's advice on tokens: the agent runs"] } as const;
const REGISTERING = { test: [DOCTORS, "doctor's advice on a registration"] } as const;
const IN_THE_CLEAR = { test: [DOCTORS, "doctor's advice on tokens in the clear"] } as const;
const BAD_MANAGER = { outside: "a package manager that is broken, which says itself how" } as const;
const WAITING = {
  test: [STATE, "advice on an event that waits, and is not to be purged"],
} as const;
const AGENTS_DISK = { test: [STATE, "advice on a running agent's disk"] } as const;
const NO_ROOM = { test: [STATE, "advice on a buffer that has no room"] } as const;
const NOT_KEPT = { test: [STATE, "advice on a registration that the disk did not keep"] } as const;
const VERSION = { test: [STATE, "advice on a buffer of another version"] } as const;
const TOKENS = { test: [SERVERS, "advice on tokens that are refused"] } as const;
const OUTAGE = { test: [SERVERS, "advice in an outage"] } as const;
const NO_ANSWER = { test: [SERVERS, "advice on a server that does not answer"] } as const;
const NO_ROUTE = { test: [SERVERS, "advice on a server that a network does not reach"] } as const;
const TAKE_OVER = "tests/e2e/take_over_test.ts";

/** By file: a part of the text that no other text of the file has, and who takes it. */
export const ADVICE: Readonly<Record<string, readonly (readonly [part: string, taken: Taken])[]>> =
  {
    "src/trusted_path.ts": [
      ['give another "--state-dir"', {
        test: [DOCTOR, "doctor: a state directory that is a file"],
      }],
      ['" belongs to user {}. Next: {}', "frame"],
      ["belongs to user {}. Next: {} {}{}", {
        test: [OWNERS, "root takes no configuration that others can write, own or replace"],
      }],
      ["can be {} by {} (mode {}). Next: {} {}", {
        test: [OWNERS, "root takes no configuration that others can write, own or replace"],
      }],
      ["put it there, or set hooks.", { test: [HOOKS, "config check"] }],
      ["chmod 755", { test: [HOOKS, "config check"] }],
      ["move the file to a directory that", { situation: "a configuration in the home of a user" }],
      ['give a "--state-dir" that', { situation: "a state directory in the home of a user" }],
    ],
    "src/config.ts": [["let this user read it", RIGHTS]],
    "src/doctor/finding.ts": [[". Next: ", "frame"]],
    "src/doctor/agent_checks.ts": [
      ["see what fails below", "no advice"],
      ["wait for the agent's next check-in", TOKENS_OF],
      ["wait a minute, and run this again", TOKENS_OF],
      ["run the agent, which renews it", {
        test: [DOCTORS, "doctor's advice on an access token that has ended"],
      }],
      ["find out who sent that command", {
        outside: "whoever sends commands in the server's name",
      }],
      ["delete the agent in the server's dashboard if it", { test: [DOCTOR, NOT_ACCEPTED] }],
      ["compare the key with the one on the server itself", { test: [DOCTOR, NOT_ACCEPTED] }],
    ],
    "src/doctor/scanner_checks.ts": [
      ["see what it says, and install it again", BAD_MANAGER],
      ["fetch them as root", { test: [DOCTOR, NO_MANAGER] }],
      ["fetch the lists as root", { test: [DOCTOR, NO_MANAGER] }],
      ["see what a scan says now", {
        test: ["tests/cli/scan_command_test.ts", "scan prints the reason of a failure"],
      }],
      ["add the package manager of this host", { test: [DOCTOR, NO_MANAGER] }],
      ["install it as root", { test: [SYSTEMD, "advice of service install is taken"] }],
      ["name some in scanners.enabled", { test: [DOCTOR, NO_MANAGER] }],
      ["see why: `{}`", { test: [SYSTEMD, "its log is in the journal"] }],
      ["start it now and at each boot", {
        test: [SYSTEMD, "install, register, install again: it runs"],
      }],
    ],
    "src/doctor/server_checks.ts": [
      ["give the proxy's user and password", {
        test: [DOCTORS, "doctor's advice on a proxy that wants a password"],
      }],
      ["let the proxy pass this server", {
        outside: "a proxy that refuses this host; proxy.except_for has a test of its own",
      }],
      ["let the server speak https", IN_THE_CLEAR],
      ["put that authority's certificate", IN_THE_CLEAR],
      ["renew the server's certificate", IN_THE_CLEAR],
      ['renew the certificate "{}" before {}', IN_THE_CLEAR],
      ["write one of the certificate's names", IN_THE_CLEAR],
      ["set this host's clock, or wait", { outside: "a certificate that is not valid yet" }],
      ["finish the server's setup", ADDRESS],
      ["wait a minute, and run this again", {
        test: [SERVERS, "advice on a server's health"],
      }],
      ["correct the address and the path", ADDRESS],
      ["look for a captive portal", ADDRESS],
      ["correct the name in server.url", { test: [DOCTOR, "a name that does not resolve"] }],
      ["look at this host's name service", {
        test: [SERVERS, "advice on the network of this host"],
      }],
      ["see that the server runs", {
        outside: "a network that refuses in another way than those that have words of their own",
      }],
      ["start the server, or correct the port", {
        test: [DOCTOR, "a port on which nothing listens"],
      }],
      ["look for a firewall that drops", NO_ANSWER],
      ["look at this host's network", { test: [SERVERS, "advice on the network of this host"] }],
      ["start that host, or look", NO_ROUTE],
      ["look whether the server speaks TLS", {
        test: [DOCTOR, "plain HTTP where TLS is expected"],
      }],
      ["look at the server's own log", { test: [SERVERS, "advice on a server's health"] }],
    ],
    "src/doctor/local_checks.ts": [
      ["which repairs a damaged buffer", {
        test: [DOCTORS, "doctor's advice on a damaged buffer"],
      }],
      ["with a registration token of the dashboard", REGISTERING],
      ["set server.url back, or run", REGISTERING],
      ["make room on its file system", { test: [DOCTOR, "doctor: a full disk"] }],
      ["let the agent's user write there", { test: [DOCTOR, "doctor: a full disk"] }],
      ["the kernel's log", { outside: "the disk" }],
    ],
    "src/service/launchd_service.ts": [
      ["this host is not registered. Next: {}", MACOS],
      ["only root can", MACOS],
      ["is a symbolic link", MACOS],
    ],
    "src/service/systemd_service.ts": [
      ["systemd does not run here", { test: [HOSTS, "advice on a host without systemd"] }],
      ["only root can", { test: [HOSTS, "advice on a service that only root may install"] }],
      ["sudo install -m 0755", { test: [SYSTEMD, "advice of service install is taken"] }],
      ["is a symbolic link, not a unit", { test: [SYSTEMD, "install follows no link"] }],
      ["was not written by Pennon", { test: [SYSTEMD, "advice of service install is taken"] }],
      ["this host is not registered. Next: sudo {} && sudo {}", {
        test: [SYSTEMD, "install, register, install again: it runs"],
      }],
      ["it is installed, but does not start", { test: [SYSTEMD, "its log is in the journal"] }],
    ],
    "src/service/manager.ts": [
      ["this program runs from source", {
        test: [SYSTEMD, "install, register, install again: it runs"],
      }],
    ],
    "src/service/task_service.ts": [
      ["do this in a terminal that was opened", WINDOWS],
      ["{}, then schtasks /run", WINDOWS],
      ["this host is not registered. Next: {}", "frame"],
    ],
    "src/scanners/scanner.ts": [[". Next: {}", "frame"]],
    "src/scanners/ignored.ts": [
      ["in scanners.ignore: {}. Next: {}", { situation: "a pattern that can match nothing" }],
    ],
    "src/scanners/winget/program.ts": [
      ["look at `winget source list`", WINDOWS],
      ["update App Installer", WINDOWS],
      ["repair App Installer for this account", WINDOWS],
      ["look for it under App Package Deployment", WINDOWS],
      ["free space on the system drive", WINDOWS],
      ["run `winget source update`", WINDOWS],
      ["run `winget upgrade`", WINDOWS],
      ["run `winget list --accept-source-agreements`", WINDOWS],
      ["exempt the source from TLS inspection", WINDOWS],
      ["give the account access", WINDOWS],
      ["install the Visual C++ runtime", WINDOWS],
    ],
    "src/scanners/winget/answer.ts": [["Next: update App Installer to 1.29", WINDOWS]],
    "src/scanners/winupdate/failure.ts": [
      ["check the host's network", WINDOWS],
      ["check the address of the update server", WINDOWS],
      ["look for it under Windows Update", WINDOWS],
      ["check the host's clock", WINDOWS],
      ["check the rights on the server", WINDOWS],
      ["sc.exe config wuauserv", WINDOWS],
      ["run Pennon as a service (SYSTEM)", WINDOWS],
      ["or locally as an administrator", WINDOWS],
      ["name a WSUS server", WINDOWS],
      ["free space on the system drive", WINDOWS],
      ["stop the service wuauserv", WINDOWS],
      [". Next: {}", "frame"],
    ],
    "src/scanners/dnf/commands.ts": [
      ["expects other arguments", { outside: "a dnf that is newer than this Pennon" }],
      ["subscription-manager register", { outside: "a subscription of Red Hat" }],
      ["check the repository's key", { outside: "a person who judges a key" }],
    ],
    "src/scanners/powershell/powershell.ts": [
      ["look in the antivirus program's log", WINDOWS],
      ["it printed none. Next: {}", "frame"],
      ["have the policy (WDAC, AppLocker)", WINDOWS],
      ["have the antivirus program", WINDOWS],
    ],
    "src/agent/enrol.ts": [
      ["try again. Or: delete the agent", { situation: "unregister without its server" }],
      ["then run `{}` to remove its tokens here", {
        situation: "a server that lets no agent delete itself",
      }],
      ["the server has deleted the agent", NOT_KEPT],
      ["which no host runs. Next: delete it", NOT_KEPT],
      ["its commands will be refused. Next: `{}`", { situation: "a key that is not the server's" }],
      [". Next: {}", "frame"],
      ["see that this host has a network", {
        test: [WORLD, "advice on a registration without a network"],
      }],
      ["see that the server's address is spelt right", REGISTRATION],
      ["see that the server runs", REGISTRATION],
      ["see that the server speaks https", CERTIFICATES],
      ["see that no firewall is between", NO_ANSWER],
      ["see that the server's host runs", NO_ROUTE],
      ["see that the address begins with", CERTIFICATES],
      ["see that the address is a RedFlag server's", REGISTRATION],
      ["see to proxy.http and proxy.https", {
        test: [SERVERS, "advice on a proxy that does not work"],
      }],
      ["finish the server's setup in a browser", {
        test: [
          "tests/e2e/command_line_test.ts",
          "waits for its configuration, and works once it has one",
        ],
      }],
      ["take a registration token from", { situation: "a registration that was refused" }],
      ["try again in a minute", REGISTRATION],
      ["see the server's own log", REGISTRATION],
    ],
    "src/agent/health.ts": [
      ["see its log, then `{}`", {
        test: [DOCTOR, "doctor: names, ports and answers of a server that is none"],
      }],
      ["see to the proxy, proxy.http", { test: [SERVERS, "advice on a proxy that does not work"] }],
      ["see the network of this host", OUTAGE],
      ["see whether the server runs", OUTAGE],
      ["see the server's own log; events", OUTAGE],
      ["see to the server's setup, and", OUTAGE],
      ["see the server's own log, and that of any proxy", {
        test: [SERVERS, "advice on a server that asks to come later for hours"],
      }],
      ["see the server; `{}` tries at once", {
        test: ["tests/e2e/binding_test.ts", '"breaker", "reset", "connection"'],
      }],
      ["restart the agent if it says nothing", HANGING],
      ["see docs/security.md", {
        test: [
          "tests/e2e/signatures_test.ts",
          "its key is pinned at registration, and only what it signed is run",
        ],
      }],
      ["which salvages a damaged buffer", { situation: "a damaged buffer" }],
      ["then requeue or purge them", {
        test: ["tests/cli/events_command_test.ts", "events requeue makes one dead letter pending"],
      }],
      ["mend the connection; a larger buffer", NO_ROOM],
      ["see the log for `server failed on a report`", {
        test: [STATE, "advice on a delivery that is late"],
      }],
      ["see the time service of this host", { test: [STATE, "advice on a clock that went back"] }],
      ["name some in scanners.enabled", { test: [DOCTOR, NO_MANAGER] }],
      ["the package manager of this host is not among them", { test: [DOCTOR, NO_MANAGER] }],
      ["`{}` shows what is wrong; then `{}`", {
        test: ["tests/cli/breaker_command_test.ts", "breaker reset closes one on disk"],
      }],
      ["`{}` shows what is wrong", {
        test: ["tests/cli/scan_command_test.ts", "scan prints the reason of a failure"],
      }],
      ["`{}` names each source", {
        test: [
          "tests/cli/scan_command_test.ts",
          "scanAsText() names the source that failed with its scan",
        ],
      }],
    ],
    "src/agent/config_check.ts": [
      ["Next: correct the path", {
        test: ["tests/cli/config_command_test.ts", "config check finds what run would refuse"],
      }],
      ["let the agent's user read it", RIGHTS],
      ["Cannot use {}: {}. Next: {}", "frame"],
      ["have its issuer renew it", CERTIFICATES],
      ["name the key that belongs to it", CERTIFICATES],
      ["it holds no private key in PEM", CERTIFICATES],
      ["it needs a passphrase", CERTIFICATES],
      ["it holds no certificate in PEM", CERTIFICATES],
      ["fetch it again from where it was issued", CERTIFICATES],
    ],
    "src/agent/instance_lock.ts": [["already runs an agent on", { situation: "a second agent" }]],
    "src/agent/breaker_reset.ts": [
      ["Cannot reset the breaker", HANGING],
    ],
    "src/agent/take_over.ts": [
      ["names the server", { situation: "RedFlag's configuration names another server" }],
      ["may still use its identity: {}. Next: {}", "frame"],
      ["no configuration of RedFlag's agent where that keeps it", {
        situation: "RedFlag's configuration is in no usual place",
      }],
      ["look at the server's log and database", {
        test: [SERVERS, "advice on an identity of RedFlag's agent that is refused"],
      }],
    ],
    "src/agent/create_client.ts": [["to a server behind a proxy", {
      test: [SERVERS, "advice on a certificate of this host behind a proxy"],
    }]],
    "src/agent/redflag_config.ts": [
      ["that agent was never registered", { situation: "RedFlag's agent was never registered" }],
      ["does not verify its server's certificate", {
        test: [SERVERS, "advice on RedFlag's agent that did not verify its server"],
      }],
    ],
    "src/cli/status_text.ts": [
      ["Next: pennon ", "no advice"],
      ["Next: {}", "frame"],
      ["no scan before {}", "no advice"],
      ["the next scan is the probe", "no advice"],
    ],
    "src/cli/scan_verdict.ts": [
      ["scanners.enabled is empty", {
        test: [
          "tests/cli/scan_command_test.ts",
          "scan --only returns 0 if all scanners are on the host",
        ],
      }],
    ],
    "src/cli/doctor_command.ts": [["Next: {}", "frame"]],
    "src/cli/diagnostics_command.ts": [
      ["stdin is no terminal. Next: {}", {
        test: ["tests/e2e/diagnostics_test.ts", "diagnostics writes an archive that tar reads"],
      }],
      ["name another one", {
        test: ["tests/cli/diagnostics_command_test.ts", "pennon diagnostics replaces no file"],
      }],
      ["name one that can be written", RIGHTS],
      ["{}. Next: {} with --output", "frame"],
    ],
    "src/advice.ts": [["Next: ", "no advice"], ["Next: {}", "frame"]],
    "src/cli/command.ts": [["Next: `{}`", NOT_REGISTERED]],
    "src/cli/cli.ts": [
      ["Next: {}{}", { test: ["tests/cli/cli_test.ts", "pennon help"] }],
      ["Next: run this as the agent's user", RIGHTS],
    ],
    "src/server/key_trust.ts": [
      ["if its new key is right", { situation: "a key that is not the server's" }],
    ],
    "src/cli/register_command.ts": [
      ["Next: {}", NOT_REGISTERED],
      ["Cannot adopt: {}{}. Next: stop the agent", {
        situation: "RedFlag's configuration is in no usual place",
      }],
      ['Cannot register with "{}"', { situation: "register with another server" }],
      ["copy it from the server's dashboard", { situation: "a registration that was refused" }],
      ["The server did not delete the agent", { situation: "unregister without its server" }],
      ["let an administrator bind the agent", {
        test: [TAKE_OVER, "is refused by a server of 0.2, until an administrator binds it"],
      }],
    ],
    "src/cli/command_setup.ts": [["but server.url is", { situation: "server.url has changed" }]],
    "src/cli/events_command.ts": [["Cannot purge event", WAITING]],
    "src/buffer/store.ts": [
      ["is damaged. Next: start the agent", { situation: "a damaged buffer" }],
      ["no right to write", {
        test: [STATE, "advice on a buffer that this account may not write"],
      }],
    ],
    "src/buffer/schema.ts": [
      ["written by an older Pennon", {
        test: ["tests/buffer/schema_test.ts", "brings a whole database from any version"],
      }],
      ["it was written by {}. Next: run that Pennon", VERSION],
    ],
    "src/buffer/disk_words.ts": [
      ["make room on the disk", AGENTS_DISK],
      ["make the state directory writable", AGENTS_DISK],
      ["the kernel's log", { outside: "the hardware of the disk" }],
      ["which salvages a damaged buffer", { situation: "a damaged buffer" }],
      ["end the program that has buffer.sqlite open", {
        test: [STATE, "advice on a buffer that another program locks"],
      }],
      ["see why it cannot be made again", {
        outside: "what is above the state directory, which nobody could read its status from",
      }],
      ["stop one of the two agents", { situation: "a second agent" }],
      ["see the log of the agent", VERSION],
    ],
    "src/loop/check_in.ts": [["the disk cannot store commands", "frame"], [
      "shows whether it accepts writes",
      { test: [STATE, "advice on a disk that cannot store commands"] },
    ]],
    "src/connection/operator_words.ts": [
      ["see whether the agent is in the server's dashboard", { test: [DOCTOR, NOT_ACCEPTED] }],
      ["see the server's log and database; if it goes on", TOKENS],
      ["stop the agent, then run `{}`", { situation: "the identity is corrupt" }],
      ["delete the agent in the server's dashboard, {}", "frame"],
      ["look at the server's log and database first", TOKENS],
      ["restore the agent's row", {
        test: [SERVERS, "advice on an agent that the server has lost"],
      }],
      ["look at the proxy in between", {
        test: [WORLD, "advice on a server that refuses without a reason"],
      }],
      ["install a Pennon of version", { situation: "the server wants a newer version" }],
      ["pass the header X-Machine-ID on", {
        test: [WORLD, "advice on a proxy that removes the machine id"],
      }],
      ["if this host is to be that agent", { situation: "the server has another machine id" }],
      ["delete that agent in the server's dashboard", {
        situation: "a machine that is registered already",
      }],
      ["send as an administrator POST", { situation: "the server has another machine id" }],
    ],
    "src/system/real/regular_file.ts": [
      ["Next: {}", "frame"],
      ["move it away", { situation: "a configuration that is no regular file" }],
      ["name a regular file instead", { test: [MISTAKES, "a device is named"] }],
    ],
    "src/host/redflag_agent.ts": [
      ["sudo systemctl disable --now redflag-agent", {
        test: [TAKE_OVER, "takes nothing over while RedFlag's service is active or enabled"],
      }],
      ["end it: kill {}", { test: [HOSTS, "advice on a process of RedFlag's agent"] }],
      ["sc.exe stop {}", WINDOWS],
    ],
    "src/identity.ts": [
      ["is corrupt. Next: stop the agent", { situation: "the identity is corrupt" }],
      ["if any of them did, stop the agent", {
        situation: "other users may have read the identity",
      }],
    ],
  };
