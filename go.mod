module github.com/cloudsigner/cloudsigner

go 1.25.0
