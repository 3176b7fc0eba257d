;;; emacs.el --- What a user does in Emacs with eglot  -*- lexical-binding: t -*-

;; Opens a file, runs its tests, gets a diagnostic, reads about it, takes the action that stops the
;; process.  Runs in Emacs 28 and later; test_emacs.py starts it, with the set-up of
;; docs/editors.md loaded before.
;;
;; Environment: TEST_COMMAND, SOURCE_FILE, OUTCOME (a file for what was seen, as JSON).

;;; Code:

(require 'cl-lib)
(require 'json)
(require 'eglot)
(require 'flymake)

(defvar seen nil "What was seen, as an alist.")
(defvar messages nil "What the server has shown to the user.")

(defun saw (what value)
  (push (cons what value) seen))

(defun finish ()
  (with-temp-file (getenv "OUTCOME")
    (insert (json-encode seen)))
  (ignore-errors (eglot-shutdown (eglot-current-server)))
  (kill-emacs 0))

(defun wait-for (what condition)
  (let ((until (+ (float-time) 60)))
    (while (not (funcall condition))
      (when (> (float-time) until)
        (saw 'failed (format "no %s" what))
        (finish))
      (accept-process-output nil 0.05))))

(setq eglot-sync-connect 30
      eglot-autoshutdown nil)

;; The user's answer to "Stop process …?": the first choice.
(defun completing-read (prompt choices &rest _)
  (saw 'question prompt)
  (let ((first (car choices))) (if (consp first) (car first) first)))

(cl-defmethod eglot-handle-notification :before
  (_server (_method (eql window/showMessage)) &key message &allow-other-keys)
  (push message messages))

(find-file (getenv "SOURCE_FILE"))
(apply #'eglot (eglot--guess-contact))
(wait-for "server" #'eglot-current-server)

(defun request (method params)
  (jsonrpc-request (eglot-current-server) method params :timeout 30))

(wait-for "watching server"
          (lambda ()
            (equal "watching" (plist-get (request :linnix/status nil) :state))))

;; As Emacs does by itself once it is idle, which in batch mode it never is.
(flymake-start)

(defvar tests
  (make-process :name "tests" :buffer (generate-new-buffer "*tests*") :noquery t
                :command (list "sh" "-c" (getenv "TEST_COMMAND"))))
(wait-for "diagnostic" #'flymake-diagnostics)

(let* ((found (car (flymake-diagnostics)))
       (at (flymake-diagnostic-beg found)))
  (saw 'message (flymake-diagnostic-text found))
  (saw 'line (line-number-at-pos at))
  (goto-char at)
  (saw 'hover (plist-get (plist-get (request :textDocument/hover
                                             (eglot--TextDocumentPositionParams))
                                    :contents)
                         :value))
  (let ((actions (append (eglot-code-actions at (flymake-diagnostic-end found)) nil)))
    (saw 'titles (vconcat (mapcar (lambda (each) (plist-get each :title)) actions)))
    (cl-flet ((run (title)
                (let ((action (cl-find-if
                               (lambda (each) (string-prefix-p title (plist-get each :title)))
                               actions)))
                  (request :workspace/executeCommand
                           (list :command (plist-get (plist-get action :command) :command)
                                 :arguments (plist-get (plist-get action :command) :arguments))))))
      (run "Explain")
      (wait-for "explanation" (lambda () messages))
      (saw 'explanation (car messages))
      (saw 'result (plist-get (run "Stop process") :outcome))
      (wait-for "end of the tests" (lambda () (not (process-live-p tests))))
      (run "Dismiss")
      (wait-for "end of the diagnostic" (lambda () (not (flymake-diagnostics)))))))
(finish)

;;; emacs.el ends here
