// The tree as the view has it, and the little that it has to be told when processes change. It
// redraws what it is told of, so it is told of no more than that, and never of much at once.
// Knows nothing of VS Code.

/** What a view of ours shows on a line, with more of its own. */
export interface TreeNode<Node> {
  /** Stays the same while it is the same thing, so that the view keeps what is open in it. */
  id: string;
  label: string;
  description: string;
  tooltip: string;
  icon: string;
  isOpen: boolean;
  children: Node[];
}

/** Of one refresh; what changed beside them is told in the next ones. */
export const MAX_TOLD = 100;

/** Of the view: these nodes anew, or all of it. */
export type Told<Node> = Node[] | "all";

export class TreeState<Node extends TreeNode<Node>> {
  roots: Node[] = [];
  private nodes = new Map<string, Node>();
  private parents = new Map<Node, Node>();
  private readonly isOpen = new Map<string, boolean>();
  /** Whose children the view has asked for. */
  private readonly asked = new Set<string>();
  /** Changed since the view was told of them, in order of their change. */
  private dirty = new Set<Node>();
  private moved = new Set<Node>();

  /** @param menuOf what the menu of a node depends on */
  constructor(private readonly menuOf: (node: Node) => string) {}

  /** The nodes stay the same objects while they have the same id: the view knows them by that. */
  update(roots: Node[]): Told<Node> {
    const before = this.nodes;
    const wasRoots = this.roots;
    this.nodes = new Map();
    this.parents = new Map();
    this.moved = new Set();
    this.roots = this.merged(before, roots, undefined);
    for (const id of before.keys()) {
      if (!this.nodes.has(id)) {
        this.isOpen.delete(id);
        this.asked.delete(id);
      }
    }
    if (!areSame(wasRoots, this.roots)) {
      this.dirty.clear();
      return "all";
    }
    const told: Node[] = [];
    for (const node of this.moved) {
      // The view keeps what it has been given below closed nodes too, and wants no id twice.
      if (this.asked.has(node.id) || this.isSeen(node)) {
        told.push(node);
      } else {
        this.dirty.add(node);
      }
    }
    this.moved = new Set(told);
    for (const node of this.dirty) {
      if (this.nodes.get(node.id) !== node || this.moved.has(node)) {
        this.dirty.delete(node);
      } else if (told.length < MAX_TOLD && this.isSeen(node)) {
        this.dirty.delete(node);
        told.push(node);
      }
    }
    return told;
  }

  /** For the view: what it has been given it shows. */
  children(node?: Node): Node[] {
    if (!node) {
      return this.roots;
    }
    this.asked.add(node.id);
    return node.children;
  }

  parent(node: Node): Node | undefined {
    return this.parents.get(node);
  }

  find(id: string): Node | undefined {
    return this.nodes.get(id);
  }

  toggled(node: Node, isOpen: boolean): void {
    this.isOpen.set(node.id, isOpen);
  }

  private merged(before: ReadonlyMap<string, Node>, nodes: Node[], parent: Node | undefined): Node[] {
    return nodes.map((next) => {
      const known = before.get(next.id);
      const node = known ?? next;
      this.nodes.set(node.id, node);
      if (parent) {
        this.parents.set(node, parent);
      }
      if (!this.isOpen.has(node.id)) {
        this.isOpen.set(node.id, next.isOpen);
      }
      const shown = node.children;
      if (known) {
        if (!this.looksSame(known, next)) {
          this.dirty.add(known);
        }
        for (const name of Object.keys(known).filter((each) => !(each in next))) {
          Reflect.deleteProperty(known, name);
        }
        Object.assign(known, next);
      }
      node.children = this.merged(before, next.children, node);
      if (known && !areSame(shown, node.children)) {
        this.moved.add(known);
      }
      return node;
    });
  }

  /** In all that the view shows of it or that its menu depends on. */
  private looksSame(before: Node, after: Node): boolean {
    return (
      before.label === after.label &&
      before.description === after.description &&
      before.tooltip === after.tooltip &&
      before.icon === after.icon &&
      this.menuOf(before) === this.menuOf(after)
    );
  }

  /** Whether nothing above it is closed, as far as is known. */
  private isSeen(node: Node): boolean {
    const parent = this.parents.get(node);
    return !parent || (this.asked.has(parent.id) && this.isOpen.get(parent.id) === true && this.isSeen(parent));
  }
}

function areSame<Node>(before: readonly Node[], after: readonly Node[]): boolean {
  return before.length === after.length && before.every((node, index) => node === after[index]);
}
