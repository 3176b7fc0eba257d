// Curves and process chart, on the same time axis: shows what `Painter` paints, and turns pointer
// and keys into what the user wants. Draws when something has changed, once a frame.

import type { Bar } from "./layout";
import { Painter } from "./paint";
import type { Piece } from "./pieces";
import type { DetailsState } from "./state";
import { around, lastUntil, panned, toSeconds, zoomed, type TimeView } from "./time";
import { barName, lifeOf, moment, seconds, shortCommand } from "./words";

const CLICK_PX = 4;

export class Chart {
  private readonly curvesCanvas = element("canvas", "curves");
  private readonly scroller = element("div", "scroller");
  private readonly spacer = element("div", "spacer");
  private readonly canvas = element("canvas", "flame");
  private readonly cursor = element("div", "cursor");
  private readonly choice = element("div", "choice");
  private readonly tip = element("div", "tip");
  private readonly labels = [0, 1, 2].map(() => element("div", "curve-label"));
  private readonly observers: { disconnect(): void }[] = [];
  private readonly painter: Painter;
  private isDue = false;
  private nRevealed = -1;
  private cursorPx: number | null = null;

  constructor(
    private readonly host: HTMLElement,
    private readonly state: DetailsState,
  ) {
    this.painter = new Painter(host, state);
    this.scroller.tabIndex = 0;
    this.scroller.setAttribute("role", "application");
    this.scroller.setAttribute("aria-roledescription", "timeline of processes");
    this.scroller.setAttribute("aria-describedby", "chart-help");
    this.tip.setAttribute("aria-hidden", "true");
    this.scroller.append(this.canvas, this.spacer);
    const top = element("div", "top");
    top.append(this.curvesCanvas, ...this.labels);
    top.setAttribute("aria-hidden", "true");
    this.cursor.hidden = this.choice.hidden = this.tip.hidden = true;
    host.append(top, this.scroller, this.cursor, this.choice, this.tip);
    this.listen(top);
  }

  dispose(): void {
    this.observers.forEach((each) => {
      each.disconnect();
    });
    this.host.replaceChildren();
  }

  /** Draws at the next frame. */
  show(): void {
    if (!this.isDue) {
      this.isDue = true;
      requestAnimationFrame(() => {
        this.isDue = false;
        this.draw();
      });
    }
  }

  zoom(factor: number): void {
    const view = this.view();
    const { bar } = this.state;
    const selected_s = bar ? (bar.began_s + Math.min(bar.ended_s, this.state.now_s)) / 2 : NaN;
    const isSeen = selected_s >= view.from_s && selected_s <= view.to_s;
    this.state.setRange(
      zoomed(view, this.state.end_s, factor, isSeen ? selected_s : (view.from_s + view.to_s) / 2),
    );
  }

  /** So that it fills the width, with all that is below it. */
  zoomTo(bar: Bar): void {
    const now = this.state.now_s;
    let end = Math.min(bar.ended_s, now);
    for (const child of bar.children) {
      end = Math.max(end, Math.min(child.ended_s, now));
    }
    this.state.setRange(around(this.view(), this.state.end_s, bar.began_s, end));
  }

  private view(): TimeView {
    return this.state.view(Math.max(1, this.scroller.clientWidth));
  }

  // --- what is drawn -----------------------------------------------------------------------

  private draw(): void {
    const view = this.view();
    const height = this.scroller.clientHeight;
    this.spacer.style.height = `${Math.max(0, this.state.layout.lanes.length * this.painter.lanePx + 8 - height)}px`;
    if (this.nRevealed !== this.state.nReveals) {
      this.nRevealed = this.state.nReveals;
      this.scrollToSelected();
    }
    this.painter.drawCurves(this.curvesCanvas, view);
    this.painter.drawBars(this.canvas, view, this.scroller.scrollTop, height);
    this.showCursor(view);
    const { bar } = this.state;
    this.scroller.setAttribute("aria-label", bar ? this.describe(bar) : "Nothing is selected");
  }

  // --- the cursor --------------------------------------------------------------------------

  private showCursor(view: TimeView): void {
    const px = this.cursorPx;
    this.cursor.hidden = px === null;
    if (px !== null) {
      this.cursor.style.transform = `translateX(${px}px)`;
    }
    const at = px === null ? this.state.now_s : toSeconds(view, px);
    const times = this.state.model.curves.at_s;
    const index = lastUntil(times, at);
    const { theme } = this.painter;
    this.painter.curves().forEach(({ name, color, values, peak, say }, which) => {
      const label = this.labels[which];
      if (!label) {
        return;
      }
      const value = index >= 0 && at <= this.state.now_s ? values[index] : undefined;
      const when = px === null ? "" : ` at ${moment(at, (view.to_s - view.from_s) / 200)}`;
      const parts = [name, value == null ? "" : ` ${say(value)}`, when, peak > 0 ? `, at most ${say(peak)}` : ""];
      label.textContent = parts.join("");
      label.style.color = theme.contrast ? theme.text : theme[color];
    });
  }

  private hover(event: PointerEvent): void {
    const box = this.scroller.getBoundingClientRect();
    const x = event.clientX - box.left;
    const y = event.clientY - box.top;
    const isInside = x >= 0 && x <= this.scroller.clientWidth;
    this.cursorPx = isInside ? x : null;
    const piece = isInside && y >= 0 ? this.pieceAt(x, y) : null;
    this.tip.hidden = piece === null;
    if (piece) {
      this.tip.textContent = this.tipOf(piece);
      const hostBox = this.host.getBoundingClientRect();
      const left = Math.min(event.clientX - hostBox.left + 14, hostBox.width - this.tip.offsetWidth - 4);
      const below = event.clientY - hostBox.top + 18;
      const top =
        below + this.tip.offsetHeight > hostBox.height ? below - this.tip.offsetHeight - 30 : below;
      this.tip.style.transform = `translate(${Math.max(2, left)}px, ${Math.max(2, top)}px)`;
    }
    this.showCursor(this.view());
  }

  private tipOf(piece: Piece): string {
    const now = this.state.now_s;
    const [bar] = piece.bars;
    const [only] = bar?.members ?? [];
    if (!bar || !only) {
      return "";
    }
    if (piece.bars.length === 1 && bar.members.length === 1) {
      const used = `${seconds(only.cpu_s)} CPU`;
      return `${shortCommand(only)}\npid ${only.pid}, ${lifeOf(only, now)}, ${used}`;
    }
    const members = piece.bars.flatMap((each) => each.members);
    const nAlive = members.filter((each) => each.ended_s === null).length;
    const used = members.reduce((sum, each) => sum + each.cpu_s, 0);
    const what = bar.members.length > 1 ? "Double-click shows each" : "Click zooms in";
    return `${barName(piece.bars)}\n${nAlive} alive, ${seconds(used)} CPU in all\n${what}`;
  }

  private describe(bar: Bar): string {
    const [only] = bar.members;
    const now = this.state.now_s;
    if (bar.members.length > 1 || !only) {
      return `${barName([bar])}, from ${seconds(bar.began_s)}. Enter shows each`;
    }
    const guilt = only.finding_ids.length > 0 ? ", has a finding" : "";
    return `${shortCommand(only)}, pid ${only.pid}, ${lifeOf(only, now)}, ${seconds(only.cpu_s)} CPU${guilt}`;
  }

  private pieceAt(x: number, y: number): Piece | null {
    return this.painter.pieceAt(x, y + this.scroller.scrollTop);
  }

  // --- what the user does ------------------------------------------------------------------

  private listen(top: HTMLElement): void {
    const size = new ResizeObserver(() => {
      this.show();
    });
    size.observe(this.host);
    size.observe(this.scroller);
    const themes = new MutationObserver(() => {
      this.painter.renewTheme();
      this.show();
    });
    themes.observe(document.body, { attributes: true, attributeFilter: ["class", "style"] });
    themes.observe(document.documentElement, { attributes: true, attributeFilter: ["class", "style"] });
    this.observers.push(size, themes);
    this.scroller.addEventListener("scroll", () => {
      this.tip.hidden = true;
      this.show();
    });
    this.host.addEventListener("pointermove", (event) => {
      this.hover(event);
    });
    this.host.addEventListener("pointerleave", () => {
      this.cursorPx = null;
      this.tip.hidden = true;
      this.showCursor(this.view());
    });
    this.host.addEventListener("wheel", (event) => {
      this.wheel(event);
    }, { passive: false });
    this.scroller.addEventListener("pointerdown", (event) => {
      this.drag(event);
    });
    this.scroller.addEventListener("dblclick", (event) => {
      const piece = this.pieceAt(event.offsetX, event.clientY - this.scroller.getBoundingClientRect().top);
      const [bar] = piece?.bars ?? [];
      if (bar && bar.members.length > 1) {
        this.state.setOpen(bar.id, true);
      } else if (bar) {
        this.zoomTo(bar);
      }
    });
    this.scroller.addEventListener("keydown", (event) => {
      if (this.key(event)) {
        event.preventDefault();
      }
    });
    top.addEventListener("pointerdown", (event) => {
      this.choose(event, top);
    });
  }

  private wheel(event: WheelEvent): void {
    const view = this.view();
    const { end_s } = this.state;
    const x = event.clientX - this.scroller.getBoundingClientRect().left;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      const factor = Math.exp(-event.deltaY / 300);
      this.state.setRange(zoomed(view, end_s, factor, toSeconds(view, x)));
    } else {
      const by = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX;
      if (by !== 0 && this.state.range) {
        event.preventDefault();
        this.state.setRange(panned(view, end_s, (by / view.width_px) * (view.to_s - view.from_s)));
      }
    }
  }

  /** Moves what is seen; without moving it is a click. */
  private drag(down: PointerEvent): void {
    const box = this.scroller.getBoundingClientRect();
    if (down.button !== 0 || down.clientX - box.left > this.scroller.clientWidth) {
      return;
    }
    const view = this.view();
    const from = this.scroller.scrollTop;
    let isMoved = false;
    const move = (event: PointerEvent) => {
      const x = event.clientX - down.clientX;
      const y = event.clientY - down.clientY;
      isMoved ||= Math.hypot(x, y) > CLICK_PX;
      if (isMoved) {
        this.scroller.scrollTop = from - y;
        if (this.state.range) {
          const by = (-x / view.width_px) * (view.to_s - view.from_s);
          this.state.setRange(panned(view, this.state.end_s, by));
        }
      }
    };
    this.track(move, (event) => {
      if (!isMoved) {
        this.click(this.pieceAt(event.clientX - box.left, event.clientY - box.top));
      }
    });
  }

  private click(piece: Piece | null): void {
    const [first] = piece?.bars ?? [];
    if (!piece || !first) {
      return;
    }
    if (piece.bars.length > 1) {
      const end = Math.max(...piece.bars.map((bar) => Math.min(bar.ended_s, this.state.now_s)));
      this.state.setRange(around(this.view(), this.state.end_s, first.began_s, end));
    } else {
      this.state.select(first.id);
    }
  }

  /** A part of the axis, to look at it alone. */
  private choose(down: PointerEvent, top: HTMLElement): void {
    if (down.button !== 0) {
      return;
    }
    const left = top.getBoundingClientRect().left;
    const view = this.view();
    const start = down.clientX - left;
    const limit = (px: number) => Math.max(0, Math.min(view.width_px, px));
    let end = start;
    this.track(
      (event) => {
        end = limit(event.clientX - left);
        this.choice.hidden = Math.abs(end - start) <= CLICK_PX;
        this.choice.style.transform = `translateX(${Math.min(start, end)}px)`;
        this.choice.style.width = `${Math.abs(end - start)}px`;
      },
      () => {
        this.choice.hidden = true;
        if (Math.abs(end - start) > CLICK_PX) {
          const [from_s, to_s] = [start, end].sort(ascending).map((px) => toSeconds(view, px));
          this.state.setRange({ from_s: from_s ?? 0, to_s: to_s ?? this.state.end_s });
        }
      },
    );
  }

  private track(move: (event: PointerEvent) => void, end: (event: PointerEvent) => void): void {
    const over = (event: PointerEvent) => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", over);
      end(event);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", over);
  }

  private key(event: KeyboardEvent): boolean {
    const { state } = this;
    const view = this.view();
    const pan = (share: number) => {
      if (state.range) {
        state.setRange(panned(view, state.end_s, share * (view.to_s - view.from_s)));
      }
    };
    const go = (bar: Bar | null | undefined) => {
      if (bar) {
        state.selectAndReveal(bar.id);
        state.announce(this.describe(bar));
      }
    };
    const { bar } = state;
    switch (event.key) {
      case "ArrowLeft":
      case "ArrowRight": {
        const by = event.key === "ArrowLeft" ? -1 : 1;
        if (event.shiftKey) {
          pan(by * 0.1);
        } else if (bar) {
          const siblings = [...(bar.parent?.children ?? state.layout.roots)].sort(
            (a, b) => a.began_s - b.began_s || a.lane - b.lane,
          );
          go(siblings[siblings.indexOf(bar) + by]);
        }
        return true;
      }
      case "ArrowUp":
        go(bar?.parent);
        return true;
      case "ArrowDown":
        go(bar ? [...bar.children].sort((a, b) => a.lane - b.lane || a.began_s - b.began_s)[0] : state.layout.roots[0]);
        return true;
      case "Enter":
        if (bar && bar.members.length > 1) {
          state.setOpen(bar.id, true);
        } else if (bar) {
          this.zoomTo(bar);
        }
        return true;
      case "Backspace":
        if (bar?.foldId != null) {
          state.setOpen(bar.foldId, false);
        }
        return true;
      case "+":
      case "=":
        this.zoom(1.5);
        return true;
      case "-":
        this.zoom(1 / 1.5);
        return true;
      case "0":
      case "Home":
        state.setRange(null);
        return true;
      case "PageUp":
      case "PageDown":
        this.scroller.scrollTop += (event.key === "PageUp" ? -0.8 : 0.8) * this.scroller.clientHeight;
        return true;
      default:
        return false;
    }
  }

  private scrollToSelected(): void {
    const { bar } = this.state;
    if (!bar) {
      return;
    }
    const top = bar.lane * this.painter.lanePx;
    const height = this.scroller.clientHeight;
    if (top < this.scroller.scrollTop || top + this.painter.lanePx + 8 > this.scroller.scrollTop + height) {
      this.scroller.scrollTop = Math.max(0, top - height / 3);
    }
  }
}

function ascending(a: number, b: number): number {
  return a - b;
}

function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  className: string,
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  made.className = className;
  return made;
}
