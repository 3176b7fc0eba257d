// Bundles the extension and the front end of its details view; with --tests their tests instead,
// with --page the front end as a page of its own, with --minify for a package.
import { cpSync, readdirSync } from "node:fs";
import { build } from "esbuild";

const has = (word) => process.argv.includes(word);
const common = { bundle: true, minify: has("--minify"), logLevel: "warning" };
const inNode = { ...common, platform: "node", target: "node20", format: "cjs" };
const inBrowser = { ...common, platform: "browser", target: "es2022", format: "iife" };

if (has("--tests")) {
  await build({
    ...inNode,
    entryPoints: readdirSync("test")
      .filter((name) => name.endsWith(".test.ts"))
      .map((name) => `test/${name}`),
    outdir: "dist/test",
    sourcemap: "inline",
  });
} else if (has("--page")) {
  await build({
    ...inBrowser,
    entryPoints: [
      { in: "webview/dev/page.ts", out: "details" },
      { in: "webview/style.css", out: "details" },
    ],
    outdir: "dist/page",
  });
  cpSync("webview/dev/index.html", "dist/page/index.html");
} else {
  await build({
    ...inNode,
    entryPoints: ["src/extension.ts"],
    outdir: "dist",
    external: ["vscode"],
  });
  await build({
    ...inBrowser,
    entryPoints: [
      { in: "webview/main.ts", out: "details" },
      { in: "webview/style.css", out: "details" },
    ],
    outdir: "dist/webview",
  });
}
