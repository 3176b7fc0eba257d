import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { commandLine, duration, fixCommand, markdown, message, visible } from "../src/text";

test("what is copied is read by a shell as the same words", () => {
  const words = ["a b", "it's", "$HOME", "", "ü€", "x\ny\u001b[31m", "\u202ea1", "-n", "`id`"];
  const script = `printf '%s\\0' ${commandLine(words)}`;
  const read = execFileSync("bash", ["-c", script], { encoding: "utf8" });
  assert.deepEqual(read.split("\0").slice(0, -1), words);
});

test("no control character reaches what is copied or shown", () => {
  const nasty = "a\u001b]0;x\u0007\n\u202eb\u2028";
  assert.doesNotMatch(commandLine([nasty]), /[\p{Cc}\p{Cf}]/u);
  assert.doesNotMatch(visible(nasty), /[\p{Cc}\p{Cf}\p{Zl}]/u);
});

test("foreign text means nothing in Markdown", () => {
  assert.equal(markdown("[x](command:y)"), "\\[x\\]\\(command\\:y\\)");
  assert.equal(markdown("<b>"), "\\<b\\>");
});

test("a message box has no link in it that a process has chosen", () => {
  assert.equal(message("a [x](command:y) b"), "a [x] (command:y) b");
  assert.doesNotMatch(message("[x](http://y)\n[z](file:///a)"), /\]\(|\n/);
});

test("of what helps a command is typed without the remark after it, and words are not", () => {
  const join = "sudo usermod -aG linnix-ls me";
  assert.equal(fixCommand(`${join}   (then log out and in again)`), join);
  assert.equal(fixCommand("sudo apt install linux-headers-amd64"), "sudo apt install linux-headers-amd64");
  assert.equal(fixCommand("log out and in again (in one shell, now: newgrp linnix-ls)"), null);
  assert.equal(fixCommand("sudo true\nrm -rf /"), null);
});

test("durations are short", () => {
  assert.deepEqual([-1, 4.9, 61, 3700].map(duration), ["0 s", "4 s", "1 min", "1 h 1 min"]);
});
