// Bundles the extension; with --tests its tests instead, with --minify for a package.
import { readdirSync } from "node:fs";
import { build } from "esbuild";

const isForTests = process.argv.includes("--tests");
await build({
  entryPoints: isForTests
    ? readdirSync("test")
        .filter((name) => name.endsWith(".test.ts"))
        .map((name) => `test/${name}`)
    : ["src/extension.ts"],
  outdir: isForTests ? "dist/test" : "dist",
  bundle: true,
  platform: "node",
  target: "node20",
  format: "cjs",
  external: isForTests ? [] : ["vscode"],
  minify: process.argv.includes("--minify"),
  sourcemap: isForTests ? "inline" : false,
  logLevel: "warning",
});
