// The connection to the server, by vscode-languageclient. Loaded when the server is started and
// not before: the library takes longer than all the rest of the activation.

import {
  CloseAction,
  ErrorAction,
  ErrorCodes,
  LanguageClient,
  RevealOutputChannelOn,
  State,
  type ClientCapabilities,
  type FeatureState,
  type LanguageClientOptions,
  type StaticFeature,
} from "vscode-languageclient/node";
import type { Command } from "./lookup";

export type { LanguageClient, LanguageClientOptions };

/** What the server takes into account. */
export const ABILITIES = {
  /** That the extension has; quick fixes are offered for them then. */
  commands: ["linnix.revealProcess", "linnix.copyReproduction", "linnix.revealProbe"],
  /** VS Code puts it above our hover: there it need not be a second time. */
  message_in_hover: true,
};

/** It writes its troubles to the log: popups are for what the user has just asked for. */
class QuietClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }

  override warn(message: string, data?: unknown): void {
    super.warn(message, data, false);
  }

  override info(message: string, data?: unknown): void {
    super.info(message, data, false);
  }
}

class Abilities implements StaticFeature {
  constructor(private readonly isTrusted: boolean) {}

  fillClientCapabilities(capabilities: ClientCapabilities): void {
    const experimental = (capabilities.experimental ?? {}) as Record<string, unknown>;
    capabilities.experimental = { ...experimental, linnix: { ...ABILITIES, is_trusted: this.isTrusted } };
  }

  initialize(): void {
    // Nothing depends on what the server answers.
  }

  getState(): FeatureState {
    return { kind: "static" };
  }

  clear(): void {
    // It holds nothing.
  }
}

export function createClient(
  { command, args }: Command,
  options: LanguageClientOptions,
  isTrusted: boolean,
  onStopped: () => void,
): LanguageClient {
  const client = new QuietClient("linnix", "linnix", { command, args }, {
    ...options,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    // Restarting is done by `Server`, with pauses, and for failures to start as well.
    errorHandler: {
      error: () => ({ action: ErrorAction.Continue, handled: true }),
      closed: () => ({ action: CloseAction.DoNotRestart, handled: true }),
    },
    initializationFailedHandler: () => false,
  });
  client.registerFeature(new Abilities(isTrusted));
  client.onDidChangeState(({ newState }) => {
    if (newState === State.Stopped) {
      onStopped();
    }
  });
  return client;
}

/** Whether the reason is that there is nobody any more who would answer. */
export function isGone(error: unknown): boolean {
  const gone: unknown[] = [
    ErrorCodes.PendingResponseRejected,
    ErrorCodes.ConnectionInactive,
    ErrorCodes.MessageWriteError,
    "EPIPE",
  ];
  return gone.includes((error as { code?: unknown }).code);
}
