-- What a user does in Neovim: opens a file, runs its tests in a terminal, gets a diagnostic, takes
-- the action that stops the process. Runs in Neovim 0.7 and later; test_neovim.py starts it, with
-- the set-up of docs/editors.md as the user's init.lua.
--
-- Environment: TEST_COMMAND, SOURCE_FILE, OUTCOME (a file for what was seen, as JSON).

local story = dofile(vim.fn.fnamemodify(debug.getinfo(1, 'S').source:sub(2), ':h') .. '/neovim_story.lua')
local seen, get_clients, finish, wait_for = story.seen, story.get_clients, story.finish, story.wait_for

-- The user's answer to "Stop process …?": the first choice.
vim.fn.inputlist = function(lines)
  seen.question = lines[1]
  return 1
end
vim.ui.select = function(items, options, on_choice)
  seen.question = options.prompt
  on_choice(items[1], 1)
end

vim.lsp.handlers['linnix/didChangeStatus'] = function(_, status) seen.status = status end

vim.cmd('edit ' .. vim.fn.fnameescape(vim.env.SOURCE_FILE))
local buffer = vim.api.nvim_get_current_buf()
wait_for('watching server', function() return seen.status and seen.status.state == 'watching' end)

vim.cmd('split | terminal ' .. vim.env.TEST_COMMAND)
local terminal = vim.api.nvim_get_current_buf()
vim.cmd('wincmd p')

wait_for('diagnostic', function() return #vim.diagnostic.get(buffer) > 0 end)
local diagnostic = vim.diagnostic.get(buffer)[1]
local data = diagnostic.user_data.lsp.data
seen.diagnostic = {
  line = diagnostic.lnum + 1,
  source = diagnostic.source,
  kind = data.kind,
  pid = data.pid,
  message = diagnostic.message,
}
seen.was_running = vim.loop.fs_stat('/proc/' .. data.pid) ~= nil

vim.api.nvim_win_set_cursor(0, { diagnostic.lnum + 1, 0 })
local client = get_clients()[1]
local document = { textDocument = vim.lsp.util.make_text_document_params() }
local lenses = vim.lsp.buf_request_sync(buffer, 'textDocument/codeLens', document, story.patience_ms)
seen.lenses = vim.tbl_map(function(lens) return lens.command.title end, lenses[client.id].result)
local params = vim.lsp.util.make_range_params(0, client.offset_encoding)
params.context = { diagnostics = {} }
local answers = vim.lsp.buf_request_sync(buffer, 'textDocument/codeAction', params, story.patience_ms)
for _, action in ipairs(answers[client.id].result) do
  if action.title:match('^Stop process') then
    seen.action = action.title
    vim.lsp.buf_request(buffer, 'workspace/executeCommand', action.command,
      function(_, result) seen.result = result end)
  end
end
wait_for('result of the stop action', function() return seen.result ~= nil end)
wait_for('end of the process', function() return not vim.loop.fs_stat('/proc/' .. data.pid) end)
wait_for('end of the tests', function()
  seen.terminal = table.concat(vim.api.nvim_buf_get_lines(terminal, 0, -1, false), '\n')
  return seen.terminal:match('%[Process exited') ~= nil
end)
finish()
