import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

interface Manifest {
  contributes: {
    commands: { command: string }[];
    menus: Record<string, { command: string }[]>;
    viewsWelcome: { contents: string }[];
    viewsContainers: { activitybar: { icon: string }[] };
    keybindings: { command: string }[];
    walkthroughs: {
      steps: { description: string; media: { svg: string }; completionEvents: string[] }[];
    }[];
  };
}

const { contributes } = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;
const steps = contributes.walkthroughs.flatMap((walkthrough) => walkthrough.steps);
const declared = contributes.commands.map(({ command }) => command);

test("menus, keys, welcome texts and the walkthrough name commands that are declared", () => {
  const named = [
    ...Object.values(contributes.menus).flatMap((entries) => entries.map((entry) => entry.command)),
    ...contributes.keybindings.map(({ command }) => command),
    ...steps.flatMap((step) =>
      step.completionEvents.flatMap((event) => /^onCommand:(.*)/.exec(event)?.[1] ?? []),
    ),
    ...[
      ...contributes.viewsWelcome.map(({ contents }) => contents),
      ...steps.map(({ description }) => description),
    ].flatMap((text) =>
      [...text.matchAll(/command:(linnix\.[\w.]+)/g)].map(([, name]) => name ?? ""),
    ),
  ];
  assert.deepEqual(named.filter((name) => !declared.includes(name)), []);
});

test("every command is implemented, and every one that is implemented is declared", () => {
  const source = readFileSync("src/commands.ts", "utf8");
  const body = [...source.matchAll(/const (?:commands|ofProbes): Record<.*?\n {2}\};/gs)].join("\n");
  const implemented = [...body.matchAll(/^ {4}"?([\w.]+)"?: /gm)].map(([, name]) => `linnix.${name ?? ""}`);
  assert.deepEqual(implemented.sort(), [...declared].sort());
});

test("pictures are there", () => {
  for (const { icon } of contributes.viewsContainers.activitybar) {
    assert.ok(existsSync(icon));
  }
  for (const { media } of steps) {
    assert.match(readFileSync(media.svg, "utf8"), /^<svg .*<\/svg>\s*$/s);
  }
});

test("the page that is packaged links to nothing that is not packaged with it", () => {
  const links = [...readFileSync("README.md", "utf8").matchAll(/\]\(([^)]*)\)/g)].map(([, to]) => to ?? "");
  assert.deepEqual(links.filter((link) => !/^(?:https:|#)/.test(link)), []);
});
