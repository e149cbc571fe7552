// rusty-celery (message protocol 2, keyword arguments): client BROKER. It sends only; the results are read where
// Celery's clients look for them.
use std::{env, error::Error, time::Duration};

use celery::prelude::*;
use redis::Commands;
use serde_json::{json, Value};

#[celery::task(name = "interop.add")]
fn add(x: i64, y: f64) -> TaskResult<f64> {
    Ok(x as f64 + y)
}

#[celery::task(name = "interop.echo")]
fn echo(x: Value) -> TaskResult<Value> {
    Ok(x)
}

fn expect(store: &mut redis::Connection, id: &str, want: Value) -> Result<(), Box<dyn Error>> {
    for _ in 0..2000 {
        let text: Option<String> = store.get(format!("celery-task-meta-{id}"))?;
        if let Some(text) = text {
            let row: Value = serde_json::from_str(&text)?;
            if row["status"] != "SUCCESS" || row["result"] != want {
                return Err(format!("{row} instead of {want}").into());
            }
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(format!("no result of {id}").into())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).ok_or("client BROKER")?;
    let mut store = redis::Client::open(url.as_str())?.get_connection()?;
    let app = celery::app!(
        broker = RedisBroker { url },
        tasks = [add, echo],
        task_routes = ["*" => "celery"],
    )
    .await?;
    for n in 0..200 {
        let sent = app.send_task(add::new(n, 0.5)).await?;
        expect(&mut store, &sent.task_id, json!(n as f64 + 0.5))?;
    }
    let odd = json!({"zażółć": ["\u{1F600}", null, true, -2.25]});
    let sent = app.send_task(echo::new(odd.clone())).await?;
    expect(&mut store, &sent.task_id, odd)?;
    println!("rusty-celery, protocol 2: 201 tasks");
    Ok(())
}
