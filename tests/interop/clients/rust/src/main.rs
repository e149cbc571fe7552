// rusty-celery (message protocol 2), which keeps no results: prints the id and the sum to expect. client BROKER
use celery::broker::RedisBroker;
use celery::prelude::*;

#[celery::task(name = "interop.add")]
fn add(x: f64, y: f64) -> TaskResult<f64> {
    Ok(x + y)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let broker = std::env::args().nth(1).expect("client BROKER");
    let app = celery::app!(
        broker = RedisBroker { broker },
        tasks = [add],
        task_routes = ["*" => "celery"],
    )
    .await
    .expect("no broker");
    for n in 0..200 {
        let x = f64::from(n);
        let sent = app.send_task(add::new(x, 0.5)).await.expect("not sent");
        println!("{} {}", sent.task_id, x + 0.5);
    }
    app.close().await.expect("not closed");
}
