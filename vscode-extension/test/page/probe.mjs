// The probe view in a real browser: looks, keys, content policy, and thousands of events a second.
//
//   node test/page/probe.mjs [FOLDER]     pictures go to FOLDER
//
// Exits with 1 where something is wrong. `harness.mjs` says what it needs.
import assert from "node:assert/strict";
import { actions, check, end, frames, of } from "./harness.mjs";

of("probe");

await check("whether it runs, what it costs and what it sees is there at once", "sample=own&at=180", async (page) => {
  assert.equal(await page.locator("h1").innerText(), "linnix-ls's own probes");
  assert.match(await page.locator(".head .totals").innerText(), /running, generation 3\s+for 3 min/);
  assert.match(await page.locator(".figures").innerText(), /of a CPU\s+0\.\d+ %[^]*events\/s\s+\d+\s+lost\s+0/);
  assert.equal(await page.locator(".curve.cost .generation").count(), 2);
  assert.equal(await page.locator(".programs tbody tr").count(), 5);
  await page.getByRole("gridcell", { name: "2160", exact: true }).waitFor();
});

await check("a histogram is bars with ranges, and a table to who listens", "sample=histogram&at=60", async (page) => {
  const rows = page.locator(".histogram tbody tr");
  assert.match(await rows.nth(4).innerText(), /16–31\s+737/);
  await page.getByRole("rowheader", { name: "512–1023" }).waitFor();
});

await check("each button asks for one thing", "sample=own&at=180", async (page) => {
  for (const name of ["Reload", "Roll Back", "Compare with Shipped", "Reset to Shipped…", "Source", "Other Probe…", "Copy as JSON"]) {
    await page.getByRole("button", { name }).click();
  }
  assert.deepEqual((await actions(page)).map(({ kind }) => kind), ["reload", "rollBack", "diff", "reset", "source", "choose", "copy"]);
  assert.equal(JSON.parse((await actions(page)).at(-1).text).length, 1000);
});

await check("with keys one goes through the events, and the table says which one it is", "sample=own&at=180", async (page) => {
  const grid = page.getByRole("grid");
  await grid.focus();
  for (const key of ["ArrowUp", "ArrowUp"]) {
    await page.keyboard.press(key);
  }
  await frames(page);
  assert.equal(await grid.getAttribute("aria-activedescendant"), "event-2159");
  assert.equal(await page.getByRole("button", { name: "Follow" }).getAttribute("aria-pressed"), "true");
  await page.keyboard.press("Control+c");
  assert.equal(JSON.parse((await actions(page)).at(-1).text).sequence, 2159);
  await page.keyboard.press("Home");
  await frames(page);
  await frames(page);
  assert.equal(await page.locator(".row.selected").getAttribute("aria-rowindex"), "2");
  await page.keyboard.press("End");
  await frames(page);
  assert.equal(await page.locator(".row.selected").count(), 0);
});

await check("whoever scrolls back reads on, while more comes", "sample=own&at=180&rate=2000", async (page) => {
  await page.getByRole("grid").hover();
  await page.mouse.wheel(0, -2000);
  await page.getByRole("button", { name: "Follow" }).waitFor();
  const first = () => page.locator(".rows .row").first().innerText();
  await frames(page);
  const before = await first();
  await page.evaluate(() => window.page.tell(window.page.at(181, window.page.state.lastSequence)));
  await frames(page);
  assert.equal(await first(), before);
  assert.match(await page.locator(".count").innerText(), /2,000 more since/);
});

await check("without permission it says why, and what helps", "sample=own&at=20&withheld", async (page) => {
  assert.match(await page.locator(".nothing").innerText(), /everybody's processes[^]*sudo usermod/);
  assert.equal(await page.getByRole("button", { name: "Reload" }).count(), 0);
});

await check("what does not run can be run", "at=none", async (page) => {
  await page.evaluate(() => window.page.tell({ state: "idle", document: "a.bpf.c", permission: window.page.permission }));
  await page.getByRole("button", { name: "Run", exact: true }).click();
  assert.deepEqual(await actions(page), [{ kind: "run" }]);
});

await check("hostile names stay names", "sample=hostile&at=6", async (page) => {
  assert.equal(await page.evaluate(() => window.taken), undefined);
  assert.equal(await page.locator("img").count(), 0);
});

await check("a narrow page has one column", "sample=own&at=180", async (page) => {
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 480);
}, { width: 480, height: 900 });

await check("five thousand events a second are a few rows, which stay the same ones", "sample=own&at=60&rate=5000", async (page) => {
  const took = await page.evaluate(async () => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const middle = (times) => [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)];
    const updates = [];
    window.framesMs.length = 0;
    for (let second = 61; second < 91; second += 1) {
      const update = window.page.at(second, window.page.state.lastSequence);
      const began = performance.now();
      window.page.tell(update);
      updates.push(performance.now() - began);
      await frame();
    }
    return { update: middle(updates), frame: middle(window.framesMs.filter((each) => each > 0.2)) };
  });
  console.log(`      update ${took.update.toFixed(1)} ms, frame ${took.frame.toFixed(1)} ms`);
  assert.ok((await page.locator(".rows .row").count()) < 60);
  assert.ok(took.update < 50 && took.frame < 50);
});

await end();
