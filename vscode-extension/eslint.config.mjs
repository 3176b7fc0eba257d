import js from "@eslint/js";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist/", "node_modules/"] },
  js.configs.recommended,
  {
    files: ["**/*.ts", "**/*.tsx"],
    extends: [...tseslint.configs.strictTypeChecked, ...tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      // Numbers in texts are what this is about.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // vscode.Disposable is a class that everybody implements as an interface.
      "@typescript-eslint/no-unsafe-class-instance-assignment": "off",
    },
  },
  {
    // node:test's functions return promises that the runner awaits.
    files: ["test/**/*.ts"],
    rules: { "@typescript-eslint/no-floating-promises": "off" },
  },
  {
    // Runs in node, and what it hands to the browser there.
    files: ["test/page/*.mjs"],
    languageOptions: {
      globals: Object.fromEntries(
        ["URL", "console", "document", "performance", "requestAnimationFrame", "window"].map((name) => [name, "readonly"]),
      ),
    },
  },
  { files: ["**/*.mjs"], languageOptions: { globals: { process: "readonly" } } },
);
