// The details view in a real browser: looks, keys, messages, content policy, and how long it takes.
//
//   node test/page/details.mjs [FOLDER]     pictures go to FOLDER
//
// Exits with 1 where something is wrong. `harness.mjs` says what it needs.
import assert from "node:assert/strict";
import { actions, check, end, frames, of } from "./harness.mjs";

of("details");

const state = (page) =>
  page.evaluate(() => {
    const { selected, findingId, range, mode, found } = window.page.state;
    return { selected, findingId, range, mode, found };
  });

await check("the guilty process and its line are there at once", "sample=spin&at=9.4", async (page) => {
  assert.equal(await page.locator(".finding button.title").innerText(), "python3 asks an empty queue again and again, without waiting, in drain of pump.py");
  await page.locator(".finding button.link").click();
  assert.deepEqual(await actions(page), [{ kind: "open", uri: "file:///home/me/pump/pump.py", path: "/home/me/pump/pump.py", line: 41 }]);
  assert.equal(await page.locator(".evidence tbody tr").count(), 3);
});

await check("what can be done is done to the process that is selected", "sample=spin&at=9.4", async (page) => {
  await page.getByRole("button", { name: "Stop Process…" }).click();
  await page.getByRole("button", { name: "Stop with All below…" }).click();
  await page.getByRole("button", { name: "Copy Command Line" }).click();
  await page.getByRole("button", { name: "Show Stack Now" }).click();
  await page.locator(".stack li.own").waitFor();
  const process = { pid: 4412, start_ticks: 995412 };
  assert.deepEqual((await actions(page)).map(({ kind }) => kind), ["stop", "stop", "copy", "stack"]);
  assert.deepEqual((await actions(page))[1], { kind: "stop", process, finding_id: null, tree: true });
});

await check("arrow keys go through the tree, and say where one is", "sample=spin&at=9.4", async (page) => {
  const chart = page.locator(".scroller");
  await chart.focus();
  await page.keyboard.press("ArrowUp");
  await frames(page);
  assert.equal((await state(page)).selected, "4400:995400");
  assert.match(await chart.getAttribute("aria-label"), /^python3 -m pytest -q tests, pid 4400, running for/);
  await page.keyboard.press("ArrowDown");
  assert.equal((await state(page)).selected, "4412:995412");
  await page.keyboard.press("+");
  assert.ok((await state(page)).range);
  await page.keyboard.press("0");
  assert.equal((await state(page)).range, null);
});

await check("a click selects, a wheel with Ctrl zooms, a drag over the curves chooses a time", "sample=spin&at=9.4", async (page) => {
  const chart = await page.locator(".scroller").boundingBox();
  await page.mouse.click(chart.x + 300, chart.y + 98);
  assert.equal((await state(page)).selected, "4410:995410");
  await page.keyboard.down("Control");
  await page.mouse.wheel(0, -300);
  await page.keyboard.up("Control");
  await frames(page);
  const { range } = await state(page);
  assert.ok(range && range.to_s - range.from_s < 5);
  const top = await page.locator(".chart .top").boundingBox();
  await page.mouse.move(top.x + 100, top.y + 60);
  await page.mouse.down();
  await page.mouse.move(top.x + 300, top.y + 60);
  await page.mouse.up();
  assert.ok((await state(page)).range.from_s > range.from_s);
});

await check("the table is a treegrid with one row in the order of keys", "sample=many&count=2000&at=20", async (page) => {
  await page.getByRole("button", { name: "Table" }).click();
  const grid = page.getByRole("treegrid");
  assert.equal(await grid.getAttribute("aria-rowcount"), "4");
  assert.equal(await grid.locator('[role="row"][tabindex="0"]').count(), 1);
  await grid.locator('[role="row"][tabindex="0"]').focus();
  await page.keyboard.press("ArrowDown");
  await frames(page);
  await page.keyboard.press("ArrowRight");
  await frames(page);
  assert.equal(await grid.getAttribute("aria-rowcount"), "2002");
  assert.ok((await grid.locator('[role="row"]').count()) < 80);
  await page.keyboard.press("End");
  await frames(page);
  await frames(page);
  const last = await page.evaluate(() => document.activeElement?.getAttribute("aria-posinset"));
  assert.equal(last, "1998");
});

await check("a search counts what it finds, and Enter goes to it", "sample=mixed&count=2000&at=20", async (page) => {
  await page.getByRole("searchbox").fill("cc1 --number=7");
  await page.getByRole("searchbox").press("Enter");
  await frames(page);
  const { found, selected } = await state(page);
  assert.ok(found.length > 3);
  assert.equal(selected, found[0]);
});

await check("a new finding is told politely", "sample=spin&at=3", async (page) => {
  await page.evaluate(() => window.page.tell(window.page.at(6, 3)));
  await frames(page);
  assert.match(await page.locator('[aria-live="polite"]').innerText(), /^New finding: /);
});

await check("hostile names stay names", "sample=hostile&at=6", async (page) => {
  assert.equal(await page.evaluate(() => window.taken), undefined);
  assert.equal(await page.locator("img").count(), 0);
});

for (const [phase, words] of [["gone", "no longer known"], ["none", "Nothing has run yet"], ["off", "not running"], ["loading", "Reading"]]) {
  await check(`${phase} is said in words`, "sample=spin&at=none", async (page) => {
    await page.evaluate((each) => window.page.tell({ state: each, reason: "the server was stopped" }), phase);
    await frames(page);
    assert.match(await page.locator("main").innerText(), new RegExp(words));
  });
}

await check("a narrow page has one column", "sample=spin&at=9.4", async (page) => {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 520);
}, { width: 520, height: 900 });

for (const count of [2000, 5000]) {
  for (const sample of ["mixed", "many"]) {
    await check(`${count} processes, ${sample}`, `sample=${sample}&count=${count}&at=19`, async (page) => {
      const took = await page.evaluate(async () => {
        const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
        const middle = (times) => [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)];
        const measured = [];
        const updates = Array.from({ length: 12 }, (_, index) => window.page.at(19 + index / 10, 18 + index / 10));
        for (const update of updates) {
          const began = performance.now();
          window.page.tell(update);
          measured.push(performance.now() - began);
          await frame();
          await frame();
        }
        window.framesMs.length = 0;
        for (let index = 0; index < 30; index += 1) {
          window.page.state.setRange({ from_s: index / 10, to_s: 15 - index / 10 });
          await frame();
          await frame();
        }
        const frames = window.framesMs.filter((each) => each > 0.2);
        return { update: middle(measured), "longest update": Math.max(...measured), frame: middle(frames), "longest frame": Math.max(...frames) };
      });
      const said = Object.entries(took).map(([name, value]) => `${name} ${value.toFixed(1)} ms`);
      console.log(`      ${said.join(", ")}`);
      assert.ok(took.update < 100 && took.frame < 16);
    });
  }
}

await end();
