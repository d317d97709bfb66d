/*
 * Stands in for a program of Windows (powershell.exe, winget.exe) in tests: plays what "NAME.exe.play"
 * beside it says.
 *
 * That file has lines "key = value"; "#" begins a comment. A line "[TEXT]" begins a section: the first
 * one counts whose TEXT is in the command line, or in the script that -EncodedCommand carries; "[]"
 * counts always. What stands before the first section counts always too. Files are beside the program.
 *
 *   record = FILE      appends a line of JSON: {"argv": [...], "folder": ..., "environment": [...]}
 *   delay_ms = N       waits before it says anything
 *   stdout = FILE      writes the file's bytes as they are; stderr = FILE likewise, afterwards
 *   repeat = N         writes stdout's file N times
 *   chunk = N          writes N bytes at a time, with pause_ms = N between them
 *   hold = child       leaves a child behind that holds the pipes for hold_ms and keeps FILE of
 *   hold = orphan      "hold_file = FILE" open, unshared, as long as it lives; an orphan's parent ends
 *   hang = N           stays for N milliseconds after all that
 *   crash = 1          ends by reading from nowhere (0xC0000005)
 *   exit = N           the exit code, 0x8A150014 too
 */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <shellapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PATH_CHARS = 1024, MAX_TEXT = 262144 };

static char playFile[MAX_TEXT];
static char said[MAX_TEXT];

struct Play {
  char record[256], out[256], err[256], hold[16], holdFile[256];
  unsigned long delayMs, repeat, chunk, pauseMs, hangMs, holdMs, crash, exitCode;
};

/* A path beside the program. */
static void beside(const char *name, wchar_t *path) {
  GetModuleFileNameW(NULL, path, MAX_PATH_CHARS);
  wchar_t *end = wcsrchr(path, L'\\') + 1;
  MultiByteToWideChar(CP_UTF8, 0, name, -1, end, (int)(MAX_PATH_CHARS - (end - path)));
}

static HANDLE openFile(const char *name, DWORD access, DWORD share, DWORD how) {
  wchar_t path[MAX_PATH_CHARS];
  beside(name, path);
  return CreateFileW(path, access, share, NULL, how, 0, NULL);
}

/* A test that asks for what is not there should see it, and not an empty answer. */
static void fail(const char *what, const char *name) {
  fprintf(stderr, "stand-in: cannot %s \"%s\"\n", what, name);
  ExitProcess(97);
}

static void utf8(const wchar_t *text, char *to, int size) {
  if (WideCharToMultiByte(CP_UTF8, 0, text, -1, to, size, NULL, NULL) == 0) *to = 0;
}

static int digit(char c) {
  const char *all = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const char *at = c ? strchr(all, c) : NULL;
  return at ? (int)(at - all) : -1;
}

/* Appends the script of -EncodedCommand, base64 of UTF-16LE, to what sections are looked for in. */
static void appendScript(const wchar_t *word) {
  static unsigned char bytes[MAX_TEXT];
  size_t count = 0;
  unsigned bits = 0, held = 0;
  for (; *word && count < sizeof bytes - 2; word++) {
    int value = *word < 128 ? digit((char)*word) : -1;
    if (value < 0) break;
    bits = bits << 6 | (unsigned)value;
    held += 6;
    if (held >= 8) bytes[count++] = (unsigned char)(bits >> (held -= 8));
  }
  bytes[count] = bytes[count + 1] = 0;
  size_t length = strlen(said);
  utf8((const wchar_t *)bytes, said + length, (int)(sizeof said - length));
}

static void take(struct Play *play, const char *key, const char *value) {
  unsigned long number = strtoul(value, NULL, 0);
  if (!strcmp(key, "record")) snprintf(play->record, sizeof play->record, "%s", value);
  else if (!strcmp(key, "stdout")) snprintf(play->out, sizeof play->out, "%s", value);
  else if (!strcmp(key, "stderr")) snprintf(play->err, sizeof play->err, "%s", value);
  else if (!strcmp(key, "hold")) snprintf(play->hold, sizeof play->hold, "%s", value);
  else if (!strcmp(key, "hold_file")) snprintf(play->holdFile, sizeof play->holdFile, "%s", value);
  else if (!strcmp(key, "delay_ms")) play->delayMs = number;
  else if (!strcmp(key, "repeat")) play->repeat = number;
  else if (!strcmp(key, "chunk")) play->chunk = number;
  else if (!strcmp(key, "pause_ms")) play->pauseMs = number;
  else if (!strcmp(key, "hang")) play->hangMs = number;
  else if (!strcmp(key, "hold_ms")) play->holdMs = number;
  else if (!strcmp(key, "crash")) play->crash = number;
  else if (!strcmp(key, "exit")) play->exitCode = number;
  else fail("understand", key);
}

static void readPlay(struct Play *play) {
  wchar_t self[MAX_PATH_CHARS];
  char name[256];
  GetModuleFileNameW(NULL, self, MAX_PATH_CHARS);
  utf8(wcsrchr(self, L'\\') + 1, name, sizeof name - 5);
  strcat(name, ".play");
  HANDLE file = openFile(name, GENERIC_READ, FILE_SHARE_READ, OPEN_EXISTING);
  DWORD size = 0;
  if (file == INVALID_HANDLE_VALUE) fail("read", name);
  ReadFile(file, playFile, sizeof playFile - 1, &size, NULL);
  CloseHandle(file);
  int counts = 1, found = 0;
  for (char *line = strtok(playFile, "\r\n"); line; line = strtok(NULL, "\r\n")) {
    if (*line == '#') continue;
    if (*line == '[') {
      char *end = strrchr(line, ']');
      if (!end) fail("understand", line);
      *end = 0;
      counts = !found && strstr(said, line + 1) != NULL;
      found |= counts;
      continue;
    }
    char *middle = strstr(line, " = ");
    if (!middle) fail("understand", line);
    *middle = 0;
    if (counts) take(play, line, middle + 3);
  }
}

static void putJson(FILE *to, const wchar_t *text) {
  static char bytes[MAX_TEXT];
  utf8(text, bytes, sizeof bytes);
  fputc('"', to);
  for (const char *c = bytes; *c; c++) {
    if (*c == '"' || *c == '\\') fprintf(to, "\\%c", *c);
    else if ((unsigned char)*c < 0x20) fprintf(to, "\\u%04x", *c);
    else fputc(*c, to);
  }
  fputc('"', to);
}

static void record(const char *name, int argc, wchar_t **argv) {
  wchar_t path[MAX_PATH_CHARS], folder[MAX_PATH_CHARS];
  beside(name, path);
  FILE *to = _wfopen(path, L"ab");
  if (!to) fail("write", name);
  fputs("{\"argv\":[", to);
  for (int i = 0; i < argc; i++) {
    if (i > 0) fputc(',', to);
    putJson(to, argv[i]);
  }
  GetCurrentDirectoryW(MAX_PATH_CHARS, folder);
  fputs("],\"folder\":", to);
  putJson(to, folder);
  fputs(",\"environment\":[", to);
  wchar_t *all = GetEnvironmentStringsW();
  for (wchar_t *one = all; *one; one += wcslen(one) + 1) {
    if (one != all) fputc(',', to);
    putJson(to, one);
  }
  fputs("]}\n", to);
  fclose(to);
}

static void writeAll(HANDLE to, const char *bytes, DWORD size, const struct Play *play) {
  DWORD chunk = play->chunk ? play->chunk : size;
  for (DWORD done = 0, written = 0; done < size; done += written) {
    DWORD rest = size - done;
    if (done > 0 && play->pauseMs) Sleep(play->pauseMs);
    if (!WriteFile(to, bytes + done, rest < chunk ? rest : chunk, &written, NULL)) return;
  }
}

static void playTo(HANDLE to, const char *name, unsigned long repeat, const struct Play *play) {
  HANDLE file = openFile(name, GENERIC_READ, FILE_SHARE_READ, OPEN_EXISTING);
  if (file == INVALID_HANDLE_VALUE) fail("read", name);
  DWORD size = GetFileSize(file, NULL), count = 0;
  char *bytes = malloc(size + 1);
  if (!bytes || !ReadFile(file, bytes, size, &count, NULL)) fail("read", name);
  for (unsigned long i = 0; i < repeat; i++) writeAll(to, bytes, count, play);
  free(bytes);
  CloseHandle(file);
}

/* Starts this program again with the same pipes. */
static void startAgain(const wchar_t *role, const struct Play *play) {
  wchar_t self[MAX_PATH_CHARS], line[2 * MAX_PATH_CHARS], file[256];
  STARTUPINFOW start = {.cb = sizeof start};
  PROCESS_INFORMATION child;
  GetModuleFileNameW(NULL, self, MAX_PATH_CHARS);
  MultiByteToWideChar(CP_UTF8, 0, play->holdFile, -1, file, 256);
  _snwprintf(line, 2 * MAX_PATH_CHARS, L"\"%ls\" %ls \"%ls\" %lu", self, role, file, play->holdMs);
  start.dwFlags = STARTF_USESTDHANDLES;
  start.hStdInput = GetStdHandle(STD_INPUT_HANDLE);
  start.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE);
  start.hStdError = GetStdHandle(STD_ERROR_HANDLE);
  SetHandleInformation(start.hStdOutput, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
  SetHandleInformation(start.hStdError, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
  if (!CreateProcessW(self, line, NULL, NULL, TRUE, 0, NULL, NULL, &start, &child)) {
    fail("start", "itself");
  }
}

/* As the one left behind, or as the parent that leaves it. */
static void beLeftBehind(wchar_t **argv) {
  struct Play play = {.holdMs = wcstoul(argv[3], NULL, 10)};
  utf8(argv[2], play.holdFile, sizeof play.holdFile);
  if (!wcscmp(argv[1], L"--leave")) {
    startAgain(L"--hold", &play);
    ExitProcess(0);
  }
  HANDLE file = openFile(play.holdFile, GENERIC_WRITE, 0, CREATE_ALWAYS);
  if (file == INVALID_HANDLE_VALUE) ExitProcess(97);
  Sleep(play.holdMs);
  ExitProcess(0);
}

static void waitForHold(const char *name) {
  for (int i = 0; i < 500; i++) {
    HANDLE file = openFile(name, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, OPEN_EXISTING);
    if (file == INVALID_HANDLE_VALUE && GetLastError() == ERROR_SHARING_VIOLATION) return;
    if (file != INVALID_HANDLE_VALUE) CloseHandle(file);
    Sleep(10);
  }
  fail("see held", name);
}

int wmain(int argc, wchar_t **argv) {
  if (argc == 4 && (!wcscmp(argv[1], L"--leave") || !wcscmp(argv[1], L"--hold"))) beLeftBehind(argv);
  utf8(GetCommandLineW(), said, sizeof said);
  for (int i = 1; i + 1 < argc; i++) {
    if (!_wcsicmp(argv[i], L"-EncodedCommand")) appendScript(argv[i + 1]);
  }
  struct Play play = {.repeat = 1, .holdMs = 20000};
  readPlay(&play);
  if (*play.record) record(play.record, argc, argv);
  Sleep(play.delayMs);
  if (*play.out) playTo(GetStdHandle(STD_OUTPUT_HANDLE), play.out, play.repeat, &play);
  if (*play.err) playTo(GetStdHandle(STD_ERROR_HANDLE), play.err, 1, &play);
  if (*play.hold) {
    startAgain(strcmp(play.hold, "orphan") ? L"--hold" : L"--leave", &play);
    waitForHold(play.holdFile);
  }
  Sleep(play.hangMs);
  if (play.crash) {
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
    *(volatile int *)0 = 1;
  }
  ExitProcess(play.exitCode);
}
