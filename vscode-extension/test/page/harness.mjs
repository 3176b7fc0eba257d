// A view as a page of its own in a real browser: serves it, opens it with a sample, and takes a
// picture of it where a folder for them is named. What else runs is in `details.mjs` and `probe.mjs`.
//
// Needs playwright-core (found from the folder $PLAYWRIGHT_FROM, if it is not installed here) and
// Chromium ($CHROMIUM, else /usr/bin/chromium).
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { env, execPath, argv } from "node:process";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("../..", import.meta.url));
const { chromium } = createRequire(join(env.PLAYWRIGHT_FROM ?? here, "/"))("playwright-core");
execFileSync(execPath, ["build.mjs", "--page", "--minify"], { cwd: here, stdio: "inherit" });
const pictures = argv[2];
if (pictures) {
  mkdirSync(pictures, { recursive: true });
}

const TYPES = { html: "text/html", js: "text/javascript", css: "text/css" };
const server = createServer((request, response) => {
  const name = new URL(request.url, "http://here").pathname.slice(1);
  try {
    response.setHeader("content-type", TYPES[name.split(".").at(-1)] ?? "text/plain");
    response.end(readFileSync(join(here, "dist/page", name)));
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const address = `http://127.0.0.1:${server.address().port}`;
const browser = await chromium.launch({
  executablePath: env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
});
let nFailed = 0;

/** The page that is checked from now on: `details` or `probe`. */
let view = "";
export function of(name) {
  view = name;
}

/** A page with a sample; whatever it says on its console is wrong. */
export async function check(name, query, work, size = { width: 1200, height: 800 }) {
  const page = await browser.newPage({ viewport: size, reducedMotion: "reduce" });
  const problems = [];
  // How long each frame's work takes: what is made anew in the page, and what is painted.
  await page.addInitScript(() => {
    const ask = window.requestAnimationFrame.bind(window);
    window.framesMs = [];
    window.requestAnimationFrame = (work) =>
      ask((now) => {
        const began = performance.now();
        work(now);
        window.framesMs.push(performance.now() - began);
      });
  });
  page.on("console", (message) => message.text().startsWith("Failed to load resource") || problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(error.message));
  try {
    await page.goto(`${address}/${view}.html?${query}`);
    await frames(page);
    await work(page);
    assert.deepEqual(problems, []);
    if (pictures) {
      await page.screenshot({ path: join(pictures, `${name.replaceAll(/\W+/g, "-")}.png`) });
    }
    console.log(`ok    ${name}`);
  } catch (error) {
    nFailed += 1;
    console.log(`WRONG ${name}: ${error.message}`);
  }
  await page.close();
}

export const frames = (page) =>
  page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
export const actions = (page) => page.evaluate(() => window.page.actions);

/** Exits with 1 where something was wrong. */
export async function end() {
  await browser.close();
  server.close();
  process.exitCode = nFailed > 0 ? 1 : 0;
}
