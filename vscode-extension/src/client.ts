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

/** Commands that the extension has; the server offers quick fixes for them then. */
export const CLIENT_COMMANDS = ["linnix.revealProcess", "linnix.copyReproduction"];

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

class ClientCommands implements StaticFeature {
  fillClientCapabilities(capabilities: ClientCapabilities): void {
    const experimental = (capabilities.experimental ?? {}) as Record<string, unknown>;
    capabilities.experimental = { ...experimental, linnix: { commands: CLIENT_COMMANDS } };
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
  client.registerFeature(new ClientCommands());
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
