// Bundles the extension and the front ends of its views; with --tests their tests, and these,
// with --page the front ends as pages of their own, with --minify for a package.
import { cpSync, readdirSync } from "node:fs";
import { build } from "esbuild";

const has = (word) => process.argv.includes(word);
const common = { bundle: true, minify: has("--minify"), logLevel: "warning" };
const inNode = { ...common, platform: "node", target: "node20", format: "cjs" };
const inBrowser = { ...common, platform: "browser", target: "es2022", format: "iife" };

if (has("--tests")) {
  await build({
    ...inNode,
    entryPoints: ["test", "test/dom"].flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => name.endsWith(".test.ts"))
        .map((name) => ({ in: `${folder}/${name}`, out: name.replace(/\.ts$/, "") })),
    ),
    outdir: "dist/test",
    sourcemap: "inline",
    external: ["jsdom"],
  });
  await buildFrontEnds("dist/test/webview");
} else if (has("--page")) {
  for (const [folder, name] of [["webview", "details"], ["webview/probes", "probe"]]) {
    await build({
      ...inBrowser,
      entryPoints: [
        { in: `${folder}/dev/page.ts`, out: name },
        { in: `${folder}/style.css`, out: name },
      ],
      outdir: "dist/page",
    });
    cpSync(`${folder}/dev/index.html`, `dist/page/${name}.html`);
  }
} else {
  await build({
    ...inNode,
    entryPoints: ["src/extension.ts"],
    outdir: "dist",
    external: ["vscode"],
  });
  await buildFrontEnds("dist/webview");
}

function buildFrontEnds(outdir) {
  return build({
    ...inBrowser,
    entryPoints: [
      { in: "webview/main.ts", out: "details" },
      { in: "webview/style.css", out: "details" },
      { in: "webview/probes/main.ts", out: "probe" },
      { in: "webview/probes/style.css", out: "probe" },
    ],
    outdir,
  });
}
