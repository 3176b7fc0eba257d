-- A probe in Neovim: run, watched by its lenses and hints, saved, shown, detached. Runs in Neovim
-- 0.7 and later.
--
-- Environment: SOURCE_FILE, OUTCOME (a file for what was seen, as JSON).

local story = dofile(vim.fn.fnamemodify(debug.getinfo(1, 'S').source:sub(2), ':h') .. '/neovim_story.lua')
local seen, finish, wait_for = story.seen, story.finish, story.wait_for
seen.said = {}

vim.notify = function(words) table.insert(seen.said, words) end
local choice
vim.ui.select = function(items, options, on_choice)
  seen.question = options.prompt
  for n, item in ipairs(items) do
    if options.format_item(item) == choice then on_choice(item, n) end
  end
end
local function choose(title)
  choice = title
  vim.cmd('LinnixProbe')
end

local linnix = require('linnix')
vim.cmd('edit ' .. vim.fn.fnameescape(vim.env.SOURCE_FILE))
local buffer = vim.api.nvim_get_current_buf()

local function titles()
  local found = {}
  for _, lens in ipairs(vim.lsp.codelens.get(buffer)) do
    if lens.command then table.insert(found, lens.command.title) end
  end
  return found
end
local function titled(pattern)
  return function()
    for _, title in ipairs(titles()) do
      if title:match(pattern) then return true end
    end
  end
end

wait_for('watching server', function() return linnix.statusline() == 'linnix' end)
wait_for('lens to run it', titled('▷ Run'))
seen.before = titles()
choose('Run, or reload')
wait_for('running probe', titled('^generation 1 · [%d,.]+ runs/s'))
seen.running = titles()
wait_for('refresh', function() return titles()[1] ~= seen.running[1] end)

if vim.lsp.inlay_hint then
  wait_for('hint', function()
    local hints = vim.lsp.inlay_hint.get({ bufnr = buffer })
    seen.hint = hints[1] and hints[1].inlay_hint.label
    return seen.hint
  end)
end

vim.fn.append(vim.fn.line('$'), '// more')
vim.cmd('silent write')
wait_for('next generation', titled('^generation 2 · '))

choose('Show what it has seen')
if vim.fn.has('nvim-0.11') == 1 then
  wait_for('page', function() return vim.api.nvim_get_current_buf() ~= buffer end)
  seen.page = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\n')
  vim.cmd('buffer ' .. buffer)
end

choose('Detach')
wait_for('lens to run it again', titled('▷ Run'))
seen.after = titles()
finish()
