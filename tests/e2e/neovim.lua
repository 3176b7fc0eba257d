-- What a user does in Neovim: opens a file, runs its tests in a terminal, gets a diagnostic, takes
-- the action that stops the process. Runs in Neovim 0.7 and later; test_neovim.py starts it.
--
-- Environment: LINNIX_LS (the server's command), TEST_COMMAND, SOURCE_FILE, AGENT_SOCKET, OUTCOME
-- (a file for what was seen, as JSON).

local PATIENCE_MS = 60000
local seen = {}

local function finish()
  vim.fn.writefile({ vim.fn.json_encode(seen) }, vim.env.OUTCOME)
  for _, client in ipairs(vim.lsp.get_active_clients()) do
    client.stop()
  end
  vim.wait(5000, function() return #vim.lsp.get_active_clients() == 0 end, 20)
  vim.cmd('qall!')
end

local function wait_for(what, condition)
  if not vim.wait(PATIENCE_MS, condition, 20) then
    seen.failed = 'no ' .. what
    finish()
  end
end

vim.lsp.get_active_clients = vim.lsp.get_active_clients or vim.lsp.get_clients

-- The user's answer to "Stop process …?": the first choice.
vim.fn.inputlist = function(lines)
  seen.question = lines
  return 1
end
vim.ui.select = function(items, options, on_choice)
  seen.question = { options.prompt }
  on_choice(items[1], 1)
end

vim.lsp.handlers['linnix/didChangeStatus'] = function(_, status) seen.status = status end

vim.cmd('edit ' .. vim.fn.fnameescape(vim.env.SOURCE_FILE))
local buffer = vim.api.nvim_get_current_buf()
local config = {
  name = 'linnix',
  cmd = vim.fn.json_decode(vim.env.LINNIX_LS),
  root_dir = vim.fn.getcwd(),
  init_options = { agent_socket = vim.env.AGENT_SOCKET, tracer = 'bcc' },
}
local client_id = vim.lsp.start_client(config)
vim.lsp.buf_attach_client(buffer, client_id)
wait_for('watching server', function() return seen.status and seen.status.state == 'watching' end)

vim.cmd('split | terminal ' .. vim.env.TEST_COMMAND)
local terminal = vim.api.nvim_get_current_buf()
vim.cmd('wincmd p')

wait_for('diagnostic', function() return #vim.diagnostic.get(buffer) > 0 end)
local diagnostic = vim.diagnostic.get(buffer)[1]
local lsp = diagnostic.user_data.lsp
seen.diagnostic = { line = diagnostic.lnum + 1, code = lsp.code, source = diagnostic.source,
  message = diagnostic.message, pid = lsp.data.pid }
seen.was_running = vim.loop.fs_stat('/proc/' .. lsp.data.pid) ~= nil

vim.api.nvim_win_set_cursor(0, { diagnostic.lnum + 1, 0 })
local params = vim.lsp.util.make_range_params(0, 'utf-16')
params.context = { diagnostics = {} }
local answers = vim.lsp.buf_request_sync(buffer, 'textDocument/codeAction', params, PATIENCE_MS)
local stop
for _, action in ipairs(answers[client_id].result) do
  if action.title:match('^Stop process') then stop = action end
end
seen.action = stop and stop.title or vim.NIL
vim.lsp.get_client_by_id(client_id).request('workspace/executeCommand', stop.command,
  function(_, result) seen.outcome = result end, buffer)
wait_for('outcome of the stop action', function() return seen.outcome ~= nil end)
wait_for('end of the process',
  function() return vim.loop.fs_stat('/proc/' .. lsp.data.pid) == nil end)
wait_for('end of the tests', function()
  seen.terminal = table.concat(vim.api.nvim_buf_get_lines(terminal, 0, -1, false), '\n')
  return seen.terminal:match('%[Process exited') ~= nil
end)
finish()
