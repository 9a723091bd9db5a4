// Looks at pages of `pada report` as a browser shows them: screenshots in both themes and on a phone, a PDF as printed, and what
// must not be there: console errors, requests, a page wider than its window, findings of axe-core that are serious.
//
//   npm install && node check.mjs OUT_DIR FILE.html...
//
// Needs Chromium (Debian: apt-get install chromium); $CHROMIUM names it where it is called otherwise.
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const [out, ...files] = process.argv.slice(2);
if (!files.length) {
  console.error("usage: node check.mjs OUT_DIR FILE.html...");
  process.exit(2);
}
mkdirSync(out, { recursive: true });
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
// As root, Chromium starts only without its sandbox; the pages are our own.
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
});
const views = [
  { name: "light", scheme: "light", width: 1280 },
  { name: "dark", scheme: "dark", width: 1280 },
  { name: "phone", scheme: "light", width: 390 },
  { name: "phone-dark", scheme: "dark", width: 390 },
];
// Pixels of a screenshot; Chromium takes none that are much higher.
const HIGHEST = 15000;
let findings = 0;
for (const file of files) {
  const name = path.basename(file, ".html");
  const say = (view, text) => {
    findings += 1;
    console.log(`${name}, ${view}: ${text}`);
  };
  for (const view of views) {
    const page = await browser.newPage();
    await page.setBypassCSP(false);
    page.on("console", (message) => say(view.name, `console ${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => say(view.name, `error: ${error.message}`));
    page.on("request", (request) => {
      const own = request.isNavigationRequest() || request.url().startsWith("data:");
      if (!own) say(view.name, `it asks for ${request.url()}`);
    });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: view.scheme }]);
    await page.setViewport({ width: view.width, height: 900 });
    await page.goto(pathToFileURL(path.resolve(file)).href);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) say(view.name, `it is ${wide} pixels wider than its window`);
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    const clip = { x: 0, y: 0, width: view.width, height: Math.min(height, HIGHEST) };
    await page.screenshot({ path: path.join(out, `${name}-${view.name}.png`), clip, captureBeyondViewport: true });
    if (view === views[0]) {
      await page.pdf({ path: path.join(out, `${name}.pdf`), format: "A4", printBackground: true, margin: { top: "15mm", bottom: "15mm", left: "12mm", right: "12mm" } });
    }
    // Evaluated by the browser's debugger, which the page's own policy does not stop. Whatever is folded away is looked at too.
    await page.evaluate(() => document.querySelectorAll("details").forEach((d) => (d.open = true)));
    await page.evaluate((await import("node:fs")).readFileSync(axe, "utf8"));
    const { violations } = await page.evaluate(() => globalThis.axe.run(document));
    for (const v of violations) {
      const serious = v.impact === "serious" || v.impact === "critical";
      const text = `axe ${v.impact}: ${v.id}, ${v.nodes.length} times, ${v.help}\n    ${v.nodes[0].html.slice(0, 200)}\n    ${v.nodes[0].failureSummary}`;
      if (serious) say(view.name, text);
      else console.log(`${name}, ${view.name}: (only ${v.impact}) ${text}`);
    }
    await page.close();
  }
}
await browser.close();
console.log(findings ? `${findings} findings` : `${files.length} pages, nothing found`);
process.exit(findings ? 1 : 0);
