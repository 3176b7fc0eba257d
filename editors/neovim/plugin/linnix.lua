-- The commands. Nothing is loaded or started before one is used, or setup() is called.

if vim.g.loaded_linnix or vim.fn.has('nvim-0.7') == 0 then return end
vim.g.loaded_linnix = true

for name, what in pairs({
  Tree = 'Show runs and their processes',
  Explain = 'Explain the finding in this line',
  Stop = 'Stop the process of the finding in this line, after a question',
  Dismiss = 'Dismiss the finding in this line',
  Jump = 'Go to the line of what runs away',
  Probe = 'Run this probe, or do something about it',
  Status = 'Say how well the server sees',
  Restart = 'Start the server anew',
}) do
  vim.api.nvim_create_user_command('Linnix' .. name, function()
    require('linnix')[name:lower()]()
  end, { desc = what })
end
