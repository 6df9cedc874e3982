"""What the JSON Schema tells people about each attribute, for editors that show it while one writes."""

from __future__ import annotations

WORKFLOW = {
    "type": "'direct' (the default): tasks follow each other by on-clauses. 'reverse': tasks name what they "
    "require, and a start names the task that is wanted.",
    "description": "What the workflow is for; not evaluated.",
    "tags": "Words to find it by.",
    "input": "Names of parameters that have to be given at the start, and maps of one name and its default. "
    "Defaults are taken as they are: expressions in them are not evaluated, those in 'vars' are.",
    "output": "What the execution gives in the end; expressions see everything that was published. Without "
    "it the published variables themselves are the output.",
    "output-on-error": "What a failed execution gives, beside 'result' with the text of the error.",
    "vars": "Variables that are evaluated once, at the start, from the input and the environment. They don't "
    "see each other.",
    "task-defaults": "What all tasks have unless they say otherwise: policies and on-clauses.",
    "tasks": "The steps, by name.",
    "name": "Ignored: the key is the name.",
    "version": "Ignored: the document's version counts.",
}
TASK = {
    "action": "Name of the action to run, perhaps with parameters behind it: std.http url='http://host/'. "
    "Without 'action' and 'workflow' the task does nothing (std.noop).",
    "workflow": "Name of the workflow to run as a sub-workflow, perhaps with parameters behind it.",
    "input": "Parameters of the action or sub-workflow: a map, or one expression that gives a map.",
    "publish": "Variables that the tasks behind this one see if it succeeds; task().result is its result.",
    "publish-on-error": "Variables that are published if the task fails.",
    "publish-on-skip": "Variables that are published if an operator skips the task.",
    "with-items": "Runs the action once for each item of a list: 'vm in <% $.vms %>'. Several entries walk "
    "through lists of the same length side by side.",
    "keep-result": "false: the result is thrown away after publishing.",
    "safe-rerun": "true: the action may be sent again when the executor that ran it has died.",
    "target": "Which executors may run the action.",
    "tags": "Words to find it by.",
    "description": "What the task is for; not evaluated.",
    "retry": "Repeats the task when it fails: 'count' times, 'delay' seconds apart.",
    "wait-before": "Seconds to wait before the task runs.",
    "wait-after": "Seconds to wait after the task has run, before anything follows.",
    "timeout": "Seconds after which the task fails.",
    "pause-before": "true: the execution pauses before this task, until somebody resumes it.",
    "concurrency": "How many items of with-items run at the same time.",
    "fail-on": "The task fails if this is true after it has run.",
    "dry-run": "true: the action's rehearsal runs instead of the action (not in Mistral).",
    "safe-input": "true: an error in evaluating the input fails this task only, and on-error is followed "
    "(not in Mistral).",
    "async-heartbeats-enabled": "true: an asynchronous action that sends no heartbeats in time fails (not in "
    "Mistral).",
    "on-success": "What follows when the task has succeeded.",
    "on-error": "What follows when the task has failed; with it the error counts as handled.",
    "on-complete": "What follows when the task has succeeded or failed.",
    "on-skip": "What follows when the task was skipped; without it on-success is followed.",
    "join": "Waits for several tasks that lead here: 'all' of them, 'one', or a number.",
    "requires": "Tasks that have to succeed before this one.",
    "type": "Ignored: the workflow's type counts.",
    "name": "Ignored: the key is the name.",
    "version": "Ignored: the document's version counts.",
}
RETRY = {
    "count": "How often the task is repeated at most; count 3 means up to four runs.",
    "delay": "Seconds between two runs.",
    "break-on": "After a failure: no further repetition if this is true.",
    "continue-on": "Repeat only while this is true; it also repeats after a success.",
}
PUBLISH = {
    "branch": "Variables for the tasks behind this one.",
    "global": "Variables for all tasks of the execution.",
    "atomic": "Has no effect.",
}
CLAUSE = {
    "publish": "Variables to publish when this clause is followed.",
    "next": "Tasks and commands that follow.",
}
ACTION = {
    "base": "The action that this one is made of, perhaps with parameters behind it.",
    "base-input": "Parameters of the base action; expressions see the input of this action.",
    "input": "Names of parameters, and maps of one name and its default; defaults are not evaluated.",
    "output": "What this action gives; expressions see the base action's result as '$'.",
    "description": "What the action is for; not evaluated.",
    "tags": "Words to find it by.",
    "name": "Ignored: the key is the name.",
    "version": "Ignored: the document's version counts.",
}
WORKBOOK = {
    "version": "Version of the language.",
    "name": "The workbook's name; its members are called <workbook>.<member>.",
    "description": "What the workbook is for.",
    "tags": "Words to find it by.",
    "actions": "Ad-hoc actions by name.",
    "workflows": "Workflows by name.",
}
