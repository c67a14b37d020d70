// Package depcheck holds the tests that keep the light packages light.
//
// Importing a backend costs its user one module and nothing more, because the light packages and their tests
// import the standard library and each other only. These tests read every .go file of the module and say where
// that, or another rule that holds for the whole tree, is broken. They parse the files themselves: what a child
// process such as go list reads is unknown to the test cache, which would go on showing an old success.
package depcheck
