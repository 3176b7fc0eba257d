-- What a user of the plugin does about a runaway: sees the text at the line, opens the tree, jumps,
-- reads the explanation, stops the process. Runs in Neovim 0.7 and later.
--
-- Environment: TEST_COMMAND, SOURCE_FILE, OUTCOME (a file for what was seen, as JSON).

local story = dofile(vim.fn.fnamemodify(debug.getinfo(1, 'S').source:sub(2), ':h') .. '/neovim_story.lua')
local seen, get_clients, finish, wait_for = story.seen, story.get_clients, story.finish, story.wait_for
seen.said = {}

vim.notify = function(words) table.insert(seen.said, words) end
vim.fn.inputlist = function(lines)
  seen.question = lines[1]
  return 1
end
vim.ui.select = function(items, options, on_choice)
  seen.question = options.prompt
  on_choice(items[1], 1)
end

local linnix = require('linnix')
local namespace = vim.api.nvim_create_namespace('linnix')
vim.cmd('edit ' .. vim.fn.fnameescape(vim.env.SOURCE_FILE))
local source = vim.api.nvim_get_current_buf()
wait_for('watching server', function() return linnix.statusline() == 'linnix' end)

vim.cmd('split | terminal ' .. vim.env.TEST_COMMAND)
local terminal = vim.api.nvim_get_current_buf()
vim.cmd('wincmd p')

local function mark()
  local found = vim.api.nvim_buf_get_extmarks(source, namespace, 0, -1, { details = true })[1]
  return found and { line = found[2] + 1, text = found[4].virt_text[1][1] }
end
wait_for('virtual text', mark)
seen.first = mark()
wait_for('virtual text that is kept up to date', function()
  return mark() and mark().text ~= seen.first.text
end)
seen.later = mark()
seen.statusline = linnix.statusline()

vim.cmd('LinnixStatus')
wait_for('status', function() return #seen.said > 0 end)

local function press(keys)
  vim.api.nvim_feedkeys(vim.api.nvim_replace_termcodes(keys, true, false, true), 'xm', false)
end

local function line_with(pattern)
  for n, line in ipairs(vim.api.nvim_buf_get_lines(0, 0, -1, false)) do
    if line:match(pattern) then return n end
  end
end

vim.cmd('LinnixTree')
wait_for('process in the tree', function() return line_with('● python') and line_with('▾ .*pytest') end)
seen.tree = vim.api.nvim_buf_get_lines(0, 0, -1, false)
vim.fn.cursor(line_with('● cpu_spin'), 1)
press('<CR>')
seen.jumped = { vim.api.nvim_get_current_buf() == source, vim.fn.line('.') }

vim.cmd('LinnixExplain')
wait_for('explanation', function() return vim.api.nvim_win_get_config(0).relative ~= '' end)
seen.explanation = vim.api.nvim_buf_get_lines(0, 0, -1, false)
press('q')
seen.is_closed = vim.api.nvim_win_get_config(0).relative == ''

vim.cmd('LinnixTree')
vim.fn.cursor(line_with('● cpu_spin'), 1)
press('x')
wait_for('outcome', function() return seen.said[#seen.said]:match('stopped') end)
wait_for('end of the virtual text', function() return not mark() end)
wait_for('end of the tests', function()
  local lines = table.concat(vim.api.nvim_buf_get_lines(terminal, 0, -1, false), '\n')
  return lines:match('%[Process exited') ~= nil
end)
wait_for('quiet statusline', function() return linnix.statusline() == 'linnix' end)
finish()
