-- What the plugin makes of a process whose name is meant to harm, of 48 equal ones and of 2,000; and
-- of a server that is started anew, crashes, or is not there.
--
-- Environment: SERVER (a command, as JSON), SOURCE_FILE, OUTCOME.

local PATIENCE_MS = 30000
local seen = {}

local function finish()
  vim.fn.writefile({ vim.fn.json_encode(seen) }, vim.env.OUTCOME)
  vim.cmd('qall!')
end

local function wait_for(what, condition)
  if not vim.wait(PATIENCE_MS, condition, 20) then
    seen.failed = 'no ' .. what
    finish()
  end
end

local linnix = require('linnix')
linnix.setup({ cmd = vim.fn.json_decode(vim.env.SERVER) })
local namespace = vim.api.nvim_create_namespace('linnix')
vim.cmd('edit ' .. vim.fn.fnameescape(vim.env.SOURCE_FILE))
local source = vim.api.nvim_get_current_buf()
local function marks()
  return vim.api.nvim_buf_get_extmarks(source, namespace, 0, -1, { details = true })
end
wait_for('virtual text', function() return #marks() > 0 end)
seen.mark = marks()[1][4].virt_text[1][1]

-- It moves with the text.
vim.api.nvim_buf_set_lines(source, 0, 0, false, { '# new', '# new' })
require('linnix.marks').draw()
seen.moved_to = marks()[1][2] + 1
vim.cmd('undo')

vim.o.statusline = "%{luaeval(\"require('linnix').statusline()\")}"
seen.statusline = linnix.statusline()

vim.cmd('LinnixTree')
local function lines() return vim.api.nvim_buf_get_lines(0, 0, -1, false) end
wait_for('folded siblings', function() return table.concat(lines(), '\n'):match('48 × cc1plus') end)
seen.tree = lines()
for n, line in ipairs(seen.tree) do
  if line:match('48 × cc1plus') then vim.fn.cursor(n, 1) end
end
vim.api.nvim_feedkeys(vim.api.nvim_replace_termcodes('<Tab>', true, false, true), 'xm', false)
seen.n_unfolded = #lines()
seen.cursor_is_on = vim.fn.getline('.')
vim.cmd('close')

vim.cmd('LinnixExplain')
seen.explanation = lines()
vim.cmd('close')
vim.cmd('redraw!')

seen.duration = require('linnix.text').duration(3725)
seen.epochs = vim.tbl_map(function(time)
  return ('%.1f'):format(require('linnix.text').epoch(time))
end, { '1970-01-01T00:00:00.000Z', '2024-02-29T12:00:01.500Z', '2026-12-31T23:59:59.000Z' })

vim.cmd('LinnixRestart')
wait_for('virtual text after a restart', function() return #marks() > 0 end)

-- It crashes, and is there again.
for _, pid in ipairs(vim.api.nvim_get_proc_children(vim.fn.getpid())) do
  vim.loop.kill(pid, 9)
end
wait_for('end of the virtual text of a server that has gone', function() return #marks() == 0 end)
wait_for('virtual text after a crash', function() return #marks() > 0 end)

local many = {}
for pid = 1, 2000 do
  table.insert(many, {
    pid = pid, start_ticks = 1, comm = 'p' .. pid % 700, argv = { 'p' }, age_s = 1,
    parent = { pid = math.floor(pid / 3), start_ticks = 1 }, run = { pid = 1, start_ticks = 1 },
    on_cpu_cores = 0.1, has_ended = false, finding_ids = {},
  })
end
many[1].rss_bytes, many[1].n_forks, many[1].state = 123456789, 1999, 'stopped'
local began = vim.loop.hrtime()
local built = require('linnix.tree').build(many, {}, {})
seen.n_rows = #built
for _, row in ipairs(built) do
  if row.process == many[1] then seen.measures = row.text end
end
seen.build_ms = (vim.loop.hrtime() - began) / 1e6

vim.fn.cursor(2, 1)
vim.cmd('LinnixDismiss')
wait_for('end of the virtual text', function() return #marks() == 0 end)

local said
vim.notify = function(words) said = words end
linnix.setup({ cmd = { '/nowhere/linnix-ls' } })
vim.cmd('LinnixRestart')
seen.missing = said
seen.findings = vim.tbl_count(require('linnix.client').findings)
finish()
