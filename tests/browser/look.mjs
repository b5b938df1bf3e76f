// Opens pages in headless Chromium and tells, as JSON, what a reader would meet: what the console says, what is asked
// for, which pictures do not load, what reaches beyond the window, and which of axe-core's rules a page breaks.
//
// node look.mjs CHROMIUM '[{"page": "file:///…", "width": 390, "height": 800, "dark": false, "shot": "wide.png"}, …]'
import fs from "node:fs";
import { createRequire } from "node:module";
import puppeteer from "puppeteer-core";

const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const [executablePath, views] = process.argv.slice(2);
// Without a profile of its own it would use the user's; as root it does not start with a sandbox.
const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--hide-scrollbars"] });
const told = [];
for (const view of JSON.parse(views)) {
  const page = await browser.newPage();
  // axe-core is put into a page whose policy allows no script but its own.
  await page.setBypassCSP(false);
  const seen = { console: [], requests: [], failed: [] };
  page.on("console", (message) => seen.console.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => seen.console.push(`error: ${error.message}`));
  page.on("request", (request) => seen.requests.push(request.url()));
  page.on("requestfailed", (request) => seen.failed.push(request.url()));
  await page.setViewport({ width: view.width, height: view.height ?? 900 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: view.dark ? "dark" : "light" }]);
  if (view.print) await page.emulateMediaType("print");
  await page.goto(view.page, { waitUntil: "load" });
  const loadedAtFirst = seen.requests.length;
  if (view.open) await page.evaluate(() => document.querySelectorAll("details").forEach((fold) => (fold.open = true)));
  const pictures = await page.evaluate(async () => {
    const images = [...document.images].filter((image) => image.checkVisibility());
    for (const image of images) image.loading = "eager";
    await Promise.allSettled(images.map((image) => image.decode()));
    return { shown: images.length, broken: images.filter((image) => !image.naturalWidth).map((image) => image.src) };
  });
  const sorted = await page.evaluate(() => {
    const button = document.querySelector("table.sortable th.number button");
    if (!button) return null;
    button.click();
    const head = button.closest("th");
    const cells = [...head.closest("table").tBodies[0].rows].map((row) => row.cells[head.cellIndex].dataset.value);
    return { by: head.getAttribute("aria-sort"), values: cells, said: document.getElementById("said").textContent };
  });
  const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (view.shot) await page.screenshot({ path: view.shot, fullPage: view.full ?? true });
  if (view.pdf) await page.pdf({ path: view.pdf, format: "A4", margin: { top: "15mm", bottom: "15mm", left: "12mm", right: "12mm" } });
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => axe.run());
  told.push({
    ...seen, loadedAtFirst, pictures, sorted, beyond,
    passes: passes.length,
    violations: violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.slice(0, 5).map((node) => node.html) })),
  });
  await page.close();
}
await browser.close();
console.log(JSON.stringify(told));
