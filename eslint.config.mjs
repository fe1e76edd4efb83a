import js from "@eslint/js";
import pulumi from "@pulumi/eslint-plugin";
import tseslint from "typescript-eslint";

export default tseslint.config(
  {
    ignores: [
      ...["dist/", "node_modules/", ".sandbox/", ".pulumi/", "coverage/"],
      ...["sandbox/app/node_modules/", "sandbox/app/.next/", "sandbox/app/next-env.d.ts"],
    ],
  },
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [...tseslint.configs.strictTypeChecked],
    plugins: { "@pulumi": pulumi },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@pulumi/no-output-in-template-literal": "error",
      "@pulumi/no-output-instance-in-template-literal": "off",
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
    },
  },
  {
    // What needs the packages of the application, which are not installed here: `next build` checks its types.
    files: ["sandbox/app/app/**/*.{ts,tsx}", "sandbox/app/server/**/*.ts"],
    extends: [...tseslint.configs.strict, tseslint.configs.disableTypeChecked],
    languageOptions: { parserOptions: { projectService: false } },
    rules: { "@pulumi/no-output-in-template-literal": "off" },
  },
  {
    // What Jest's matchers and fixtures are made of.
    files: ["**/tests/**/*.ts"],
    rules: {
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-non-null-assertion": "off",
    },
  },
  {
    files: ["**/*.js", "**/*.mjs"],
    languageOptions: {
      globals: Object.fromEntries(
        [
          "Buffer",
          "URL",
          "__dirname",
          "clearTimeout",
          "console",
          "module",
          "process",
          "require",
          "setTimeout",
        ].map((name) => [name, "readonly"]),
      ),
    },
  },
  {
    // What njs gives its modules.
    files: ["host/nginx/*.js"],
    languageOptions: { globals: { ngx: "readonly" } },
  },
);
